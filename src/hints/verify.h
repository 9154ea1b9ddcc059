/* SPDX-License-Identifier: Apache-2.0
 * For hints.c only: is a file that an earlier boot wrote still whole? */
#pragma once
#include "base/attr.h"

/* False if the file was last used before this boot of the system and can no longer be walked
 * through. Forks (the library aborts on some damage), so: at start, before the sandbox. */
bool hints_file_sound(const char *path);
