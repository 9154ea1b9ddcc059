/* SPDX-License-Identifier: Apache-2.0
 * Bytes from a client into a session whose policy takes everything; the first byte chooses how
 * bare newlines are treated. Invariant: as many messages end as CRLF.CRLF or BDAT LAST allow. */
#include "../tests/smtp/fake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 100000)
		return 0;
	struct fake f;
	struct smtp_server_opts o = {.local = data[0] & 4, .enforce_sync = data[0] & 8, .bare = (enum bare_newline)(data[0] & 3),
		.tls_offered = true, .max_synprot_errors = -1, .max_unknown_commands = -1, .max_nonmail = -1, .command_timeout_ms = 1, .data_timeout_ms = 1};
	fake_open(&f, &o);
	int room = 1 << 20;
	setsockopt(f.far, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	setsockopt(stream_fd(f.stream), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
	if (send(f.far, data + 1, size - 1, MSG_DONTWAIT) >= 0) {
		shutdown(f.far, SHUT_WR);
		/* The end of input is found at the latest when nothing else is left. */
		for (enum smtp_run run = smtp_session_start(f.ss); run == SMTP_PARK;)
			run = smtp_session_run(f.ss);
		must(smtp_session_state(f.ss) == SMTP_CLOSED);
	}
	must(memchr(f.body.p ? f.body.p : "", '\r', f.body.len) == NULL);
	fake_close(&f);
	return 0;
}
