/* SPDX-License-Identifier: Apache-2.0
 * log_selector (manual 53.15): words with + or - in front, in order, over the default set. */
#include "config/config_priv.h"

#include "base/rd.h"

#include "base/banned.h"

#define LOGSEL(name, id, on) {name, on},
static const struct {
	const char *name;
	bool on;
} selectors[] = {
#include "config/log_selectors.def"
};
#undef LOGSEL

static void set_bit(uint64_t bits[2], size_t i, bool on)
{
	uint64_t bit = 1ull << (i % 64);
	bits[i / 64] = on ? bits[i / 64] | bit : bits[i / 64] & ~bit;
}

void log_selector_default(uint64_t bits[2])
{
	bits[0] = bits[1] = 0;
	for (size_t i = 0; i < countof(selectors); i++)
		set_bit(bits, i, selectors[i].on);
}

/* Names that Exim knows beside those of the table. */
static struct str alias(struct str word)
{
	if (str_eqc(word, "rejected_headers"))
		return STR("rejected_header");
	return word;
}

static bool select_word(struct str word, bool on, uint64_t bits[2])
{
	bool known = str_eqc(word, "all");
	word = alias(word);
	for (size_t i = 0; i < countof(selectors); i++)
		if (str_eqc(word, selectors[i].name) || str_eqc(word, "all")) {
			set_bit(bits, i, on);
			known = true;
		}
	return known;
}

bool log_selector_parse(struct str text, uint64_t bits[2], struct why *why)
{
	struct rd rd = rd_of(text);
	for (rd_skip_space(&rd); !rd_done(&rd); rd_skip_space(&rd)) {
		const char *from = rd.p;
		int sign = rd_byte(&rd);
		if (sign != '+' && sign != '-') {
			rd.p = from;
			struct str found = rd_word(&rd);
			return config_error(why, "malformed log_selector setting: + or - expected but found \"%.*s\"", STR_ARG(found));
		}
		struct str word = {.p = rd.p};
		while (rd_peek(&rd) >= 0 && (ch_alnum(rd_peek(&rd)) || rd_peek(&rd) == '_'))
			rd_byte(&rd), word.len++;
		if (!select_word(word, sign == '+', bits))
			return config_error(why, "unknown log_selector setting: %c%.*s", sign, STR_ARG(word));
	}
	return true;
}
