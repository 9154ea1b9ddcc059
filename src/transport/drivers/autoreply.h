/* SPDX-License-Identifier: Apache-2.0
 * The autoreply transport's memory of whom it has written to (manual 27 once). */
#pragma once
#include "transport/steps.h"

enum once_answer { ONCE_NEW, ONCE_SENT, ONCE_FAILED };
struct once {
	int fd;             /* locked while open; -1 = no file */
	int64_t size;       /* once_file_size, 0 = no limit */
	int64_t repeat_s;   /* 0 = never again */
	uint32_t mode;
	struct str key, rest; /* recipient; what stays of the file */
};
/* Has this recipient had a message? FAILED: results given. No file name: always NEW. */
enum once_answer once_ask(struct delivery *d, struct once *o, struct str file, struct str to);
void once_note(struct delivery *d, struct once *o);
void once_close(struct once *o);
