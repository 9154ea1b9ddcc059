/* SPDX-License-Identifier: Apache-2.0
 * Message ids (manual 3.4): seconds, process, fraction of a second in base 62. New ids are
 * tttttt-ppppppppppp-ffff (23 characters); spools of Exim before 4.97 have tttttt-pppppp-ff. */
#include "message/encode.h"
#include "message/message.h"

#include "base/banned.h"

enum { OLD_LENGTH = 16, NEW_LENGTH = 23 };

void msgid_make(char to[MSG_ID_MAX], int64_t us, uint64_t pid, int localhost_number)
{
	uint64_t seconds = (uint64_t)(us / 1000000), fraction = (uint64_t)(us % 1000000);
	/* With localhost_number the resolution halves: 500000 * number + units of 2 us. */
	if (localhost_number >= 0)
		fraction = (uint64_t)localhost_number * 500000 + fraction / 2;
	base62_fixed(to, seconds, 6);
	to[6] = '-';
	base62_fixed(to + 7, pid, 11);
	to[18] = '-';
	base62_fixed(to + 19, fraction, 4);
	to[NEW_LENGTH] = '\0';
}

void msgid_make_short(char to[MSG_ID_MAX], int64_t us, uint64_t pid, uint32_t serial, int localhost_number)
{
	/* Process ids have at most 22 bits (Linux PID_MAX_LIMIT); six base-62 digits hold 13,500 times that. */
	enum { PID_RANGE = 1 << 22, SERIALS = 13000 };
	uint64_t seconds = (uint64_t)(us / 1000000), fraction = (uint64_t)(us % 1000000);
	fraction = localhost_number >= 0 ? (uint64_t)localhost_number * 200 + fraction / 5000 : fraction / 500;
	base62_fixed(to, seconds, 6);
	to[6] = '-';
	base62_fixed(to + 7, pid % PID_RANGE + (uint64_t)(serial % SERIALS) * PID_RANGE, 6);
	to[13] = '-';
	base62_fixed(to + 14, fraction, 2);
	to[OLD_LENGTH] = '\0';
}

bool msgid_valid(struct str s)
{
	if (s.len != OLD_LENGTH && s.len != NEW_LENGTH)
		return false;
	uint32_t second = s.len == NEW_LENGTH ? 18 : 13;
	for (uint32_t i = 0; i < s.len; i++) {
		bool hyphen = i == 6 || i == second;
		if (hyphen ? s.p[i] != '-' : !ch_alnum((unsigned char)s.p[i]))
			return false;
	}
	return true;
}

int64_t msgid_time(struct str id)
{
	uint64_t t = 0;
	return id.len >= 6 && base62_decode(str_sub(id, 0, 6), &t) ? (int64_t)t : 0;
}
