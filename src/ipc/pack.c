/* SPDX-License-Identifier: Apache-2.0
 * Fields of a payload: numbers big-endian; a str is its length (all ones: unset), taint, quoter
 * and bytes. */
#include "ipc/channel.h"

#include "base/banned.h"

#define UNSET UINT32_MAX

static void put(struct strbuf *sb, uint64_t v, unsigned bytes)
{
	while (bytes--)
		sb_ch(sb, (char)(v >> 8 * bytes));
}

void pk_u8(struct strbuf *sb, uint8_t v)
{
	put(sb, v, 1);
}

void pk_u32(struct strbuf *sb, uint32_t v)
{
	put(sb, v, 4);
}

void pk_u64(struct strbuf *sb, uint64_t v)
{
	put(sb, v, 8);
}

void pk_str(struct strbuf *sb, struct str s)
{
	if (!str_is_set(s)) {
		pk_u32(sb, UNSET);
		return;
	}
	pk_u32(sb, s.len);
	pk_u8(sb, s.taint);
	pk_u8(sb, s.quoter);
	sb_addn(sb, s.p, s.len);
}

uint8_t up_u8(struct rd *r)
{
	return (uint8_t)rd_be(r, 1);
}

uint32_t up_u32(struct rd *r)
{
	return (uint32_t)rd_be(r, 4);
}

uint64_t up_u64(struct rd *r)
{
	return rd_be(r, 8);
}

struct str up_str(struct rd *r)
{
	uint32_t len = up_u32(r);
	if (r->bad || len == UNSET)
		return STR_NONE;
	uint8_t taint = up_u8(r), quoter = up_u8(r);
	struct str s = rd_take(r, len);
	if (r->bad)
		return STR_NONE;
	s.taint = taint | r->taint;
	s.quoter = quoter;
	return s;
}
