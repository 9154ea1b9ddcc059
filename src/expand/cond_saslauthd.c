/* SPDX-License-Identifier: Apache-2.0
 * saslauthd (manual 11.7): user, password, service and realm to Cyrus' daemon, each behind its
 * length in two bytes; the answer begins with "OK" or "NO". */
#include "expand/tree.h"
#include "net/stream.h"
#include "base/banned.h"

#define MUX "/var/run/saslauthd/mux"
enum { SASLAUTHD_TIMEOUT_MS = 15000 };

static void parse_saslauthd(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing { after \"saslauthd\"");
		return;
	}
	xparse_args(x, n, 2, 4, true);
}

static bool put(struct stream *s, struct str v)
{
	unsigned char len[2] = {(unsigned char)(v.len >> 8), (unsigned char)v.len};

	return stream_write(s, len, 2) == ST_OK && stream_write(s, v.p ? v.p : "", v.len) == ST_OK;
}

static enum expand_status ask(struct eval *ev, struct stream *s, const struct str *arg, bool *ret)
{
	struct str service = str_empty(arg[2]) ? STR("exim") : arg[2];
	unsigned char len[2];
	char answer[2];

	stream_set_timeout(s, SASLAUTHD_TIMEOUT_MS);
	if (!put(s, arg[0]) || !put(s, arg[1]) || !put(s, service) || !put(s, arg[3]) || stream_flush(s) != ST_OK)
		return xdefer(ev, "write to saslauthd daemon failed");
	if (stream_read(s, len, 2) != ST_OK || (len[0] << 8 | len[1]) < 2 || stream_read(s, answer, 2) != ST_OK)
		return xdefer(ev, "read from saslauthd daemon failed");
	if (memcmp(answer, "OK", 2) != 0 && memcmp(answer, "NO", 2) != 0)
		return xdefer(ev, "unexpected answer from saslauthd daemon");
	*ret = answer[0] == 'O';
	return EXPAND_OK;
}

static enum expand_status test_saslauthd(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	struct stream *s = NULL;
	struct why why = {{0}, 0, false};

	*ret = false;
	for (unsigned i = 0; i < 4; i++)
		if (arg[i].len > 65535)
			return EXPAND_OK;
	if (str_empty(arg[1])) /* an empty password is never right */
		return EXPAND_OK;
	if (net_connect_unix(MUX, SASLAUTHD_TIMEOUT_MS, &s, &why) != ST_OK)
		return xdefer(ev, "cannot connect to saslauthd daemon at %s: %s", MUX, strerror(why.errnum));
	enum expand_status st = ask(ev, s, arg, ret);
	stream_close(s);
	return st;
}

const struct expand_condition_row cond_saslauthd[] = {
    {.name = "saslauthd", .min_args = 2, .max_args = 4, .parse = parse_saslauthd, .test = test_saslauthd},
    {0},
};
