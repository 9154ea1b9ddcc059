/* SPDX-License-Identifier: Apache-2.0
 * Words for the compiler, and the check that never goes away. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))
#define fallthrough __attribute__((fallthrough))
#define countof(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that holds `member` at `ptr`. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))

/* must(cond): a bug if false: logs where and aborts, in release builds too. No byte from the
 * network, the disk or the configuration may reach one. */
#define must(cond) ((cond) ? (void)0 : must_failed(#cond, __FILE__, __LINE__))
__attribute__((noreturn)) void must_failed(const char *cond, const char *file, int line);
