/* SPDX-License-Identifier: Apache-2.0
 * Calls that do not compile here, each with what to use instead. Included by every .c file
 * through the command line (-include base/banned.h is not used: STYLE, includes are seen). */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* clang's fortified headers have these two as macros */
#undef sprintf
#undef vsprintf
#pragma GCC poison strcpy strcat strncat sprintf vsprintf gets strtok
#pragma GCC poison atoi atol atof
#pragma GCC poison gmtime localtime ctime asctime
#pragma GCC poison system popen tmpnam tempnam mktemp
#pragma GCC poison setjmp longjmp sigsetjmp siglongjmp
