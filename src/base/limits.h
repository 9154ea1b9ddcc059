/* SPDX-License-Identifier: Apache-2.0
 * All ceilings, by name. Where the manual or an RFC sets one, it is cited. Bytes if not said. */
#pragma once

#define LIMIT_SMTP_COMMAND 16384         /* one command line; RFC 5321 4.5.3.1.4 asks 512 and more for extensions */
#define LIMIT_SMTP_REPLY_LINE 4096
#define LIMIT_SMTP_REPLY_TEXT 65536      /* all lines of one reply */
#define LIMIT_SMTP_AUTH_DATA 16384       /* one base64 exchange; RFC 4954 4 asks 12288 */
#define LIMIT_EXPANSION (16u << 20)      /* result of one expansion */
#define LIMIT_EXPANSION_DEPTH 100        /* nested items in one string (memory of the parser) */
#define LIMIT_ACL_DEPTH 20               /* nested ACL calls (manual 44.20) */
#define LIMIT_CONFIG_LINE (1u << 20)
#define LIMIT_CONFIG_FILE (64u << 20)
#define LIMIT_CONFIG_INCLUDE_DEPTH 50
#define LIMIT_HEADER_DEFAULT (1u << 20)  /* header_maxsize default (manual 14) */
#define LIMIT_HEADERS 20000              /* header lines of one message */
#define LIMIT_RECIPIENTS 50000           /* recipients_max default (manual 14) */
#define LIMIT_ADDRESS 2048               /* one address as written, source routes included */
#define LIMIT_LOCAL_PART 512
#define LIMIT_DOMAIN 255                 /* RFC 1035 2.3.4 */
#define LIMIT_IPC_FRAME (1u << 20)
#define LIMIT_IPC_FDS 8
#define LIMIT_LOG_LINE 8192              /* one entry; longer ones are cut */
#define LIMIT_SPOOL_HEADER (64u << 20)   /* a -H file */
#define LIMIT_DNS_ANSWER 65535
#define LIMIT_LOOKUP_VALUE (4u << 20)
#define LIMIT_LIST_DEPTH 20              /* named lists inside named lists */
#define LIMIT_ROUTE_DEPTH 100            /* generations of one address through redirect */
#define LIMIT_ENVELOPE (64u << 20)       /* an envelope as text: mailstore, batched SMTP */
#define LIMIT_ARENA_SESSION (64u << 20)
#define LIMIT_ARENA_MESSAGE (512u << 20)
#define LIMIT_ARENA_CONFIG (1u << 30)
#define LIMIT_ARENA_SCRATCH (256u << 20)
