/* SPDX-License-Identifier: Apache-2.0
 * The client's side of SMTP and LMTP over a stream: replies read, capabilities parsed, commands
 * pipelined and accounted one by one. No policy: the transport decides. Threads: owner. */
#pragma once
#include "base/strbuf.h"
#include "net/stream.h"

struct smtp_reply {
	int code;             /* 0 = connection lost / malformed */
	struct str text;      /* all lines, joined by \n, codes kept on each ("250-a\n250 b") */
	struct str first_line;
	enum status st;       /* how reading failed, ST_OK otherwise */
};
enum smtp_ext {
	SMTP_EXT_SIZE = 1, SMTP_EXT_8BITMIME = 2, SMTP_EXT_PIPELINING = 4, SMTP_EXT_CHUNKING = 8,
	SMTP_EXT_STARTTLS = 16, SMTP_EXT_AUTH = 32, SMTP_EXT_DSN = 64, SMTP_EXT_SMTPUTF8 = 128,
	SMTP_EXT_PRDR = 256, SMTP_EXT_LIMITS = 512, SMTP_EXT_REQUIRETLS = 1024, SMTP_EXT_IGNOREQUOTA = 2048,
	SMTP_EXT_PIPECONNECT = 4096
};
struct smtp_caps {
	unsigned ext;
	int64_t size;       /* SIZE limit, 0 none */
	struct str auth;    /* mechanisms, blank-separated, upper case */
	int mailmax, rcptmax, rcptdomainmax; /* LIMITS, 0 none */
};
struct smtp_client {
	struct stream *stream;
	struct arena *arena;  /* per connection; replies of one transaction go to tx */
	struct arena *tx;
	struct smtp_caps caps;
	bool lmtp, esmtp;
	unsigned outstanding; /* commands sent whose replies are unread */
	int64_t command_timeout_ms;
	struct str banner, helo_reply;
	struct str last_command; /* for error texts: "MAIL FROM:<...>" */
};
void smtp_client_init(struct smtp_client *c, struct stream *s, struct arena *arena, bool lmtp);
/* Read one whole reply (all lines), bounded. */
struct smtp_reply smtp_client_reply(struct smtp_client *c);
/* Queue a command (no flush): counted as outstanding. */
enum status smtp_client_put(struct smtp_client *c, const char *fmt, ...) printf_like(2, 3);
/* Send a command and read its reply. */
struct smtp_reply smtp_client_cmd(struct smtp_client *c, const char *fmt, ...) printf_like(2, 3);
enum status smtp_client_flush(struct smtp_client *c);
/* EHLO/LHLO, falling back to HELO; fills caps. */
struct smtp_reply smtp_client_hello(struct smtp_client *c, struct str name);
/* HELO alone (hosts_avoid_esmtp). */
struct smtp_reply smtp_client_helo(struct smtp_client *c, struct str name);
void smtp_caps_parse(struct arena *a, struct str ehlo_text, struct smtp_caps *ret);
/* Body writer: text with LF or CRLF line ends becomes CRLF lines; a stray CR and NUL become a space, so that
 * nothing in a message can end it for any peer. Goes to `stream`, or (stream NULL) to `memory`.
 * Begin with at_line_start = true; keeps state over calls. */
struct smtp_body {
	struct stream *stream;
	struct strbuf *memory;
	bool dots;          /* DATA: double them; BDAT: no */
	char last;          /* '\r' held back at the end of a piece */
	bool at_line_start;
	int64_t bytes;      /* written so far, the final dot not counted */
};
enum status smtp_body_write(struct smtp_body *b, const char *p, size_t n);
/* Complete the last line; with dots also the final dot. */
enum status smtp_body_end(struct smtp_body *b);
