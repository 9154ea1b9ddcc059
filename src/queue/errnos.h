/* SPDX-License-Identifier: Apache-2.0
 * Numbers for delivery errors, as they stand in Exim's log ("defer (-44)") and in retry records:
 * address.basic_errno is one of these, an errno (> 0), or 0. Retry rules (manual 32) match on them.
 *
 * Text for people: with basic_errno > 0 the log and the bounce show its strerror text, then
 * ": " and address.message where that is set; with the others address.message alone.
 *
 * address.more_errno: DERR_RCPT4XX, MAIL4XX, DATA4XX: (code % 100) << 8, as retry rules rcpt_4nn
 * ask; its low byte is 'M' or 'A' for a host that came from MX or address records; ETIMEDOUT:
 * MORE_CONNECT_TIMEOUT when it was the connect; DERR_EXIMQUOTA: seconds since the mailbox was read. */
#pragma once

enum delivery_errno {
	DERR_UNKNOWN = -1,
	DERR_USERSLASH = -2,
	DERR_EXISTRACE = -3,
	DERR_NOTREGULAR = -4,
	DERR_NOTDIRECTORY = -5,
	DERR_BADUGID = -6,
	DERR_BADMODE = -7,
	DERR_INODECHANGED = -8,
	DERR_LOCKFAILED = -9,
	DERR_BADADDRESS = -10,
	DERR_FORBIDPIPE = -11,
	DERR_FORBIDFILE = -12,
	DERR_FORBIDREPLY = -13,
	DERR_MISSINGPIPE = -14,
	DERR_MISSINGFILE = -15,
	DERR_MISSINGREPLY = -16,
	DERR_BADREDIRECT = -17,
	DERR_SMTPCLOSED = -18,    /* lost_connection */
	DERR_SMTPFORMAT = -19,
	DERR_SPOOLFORMAT = -20,
	DERR_NOTABSOLUTE = -21,
	DERR_EXIMQUOTA = -22,     /* quota, quota_<time> */
	DERR_HELD = -23,
	DERR_FILTER_FAIL = -24,
	DERR_CHOWNFAIL = -25,
	DERR_PIPEFAIL = -26,
	DERR_EXPANDFAIL = -27,    /* while the message was written */
	DERR_UIDFAIL = -28,
	DERR_NEVERUSERS = -29,
	DERR_BADTRANSPORT = -30,
	DERR_SIZEFAIL = -31,
	DERR_HOSTLOOKUP = -32,
	DERR_FILEFORMAT = -33,
	DERR_BADCREATE = -34,
	DERR_LISTDEFER = -35,
	DERR_DNSDEFER = -36,      /* lookup */
	DERR_TLSFAILURE = -37,
	DERR_TLSREQUIRED = -38,   /* tls_required */
	DERR_AUTHFAIL = -42,      /* auth_failed */
	DERR_CONNECTTIMEOUT = -43,
	DERR_RCPT4XX = -44,
	DERR_MAIL4XX = -45,
	DERR_DATA4XX = -46,
	DERR_PROXYFAIL = -47,
	DERR_AUTHPROB = -48,
	DERR_UTF8_FWD = -49,
	DERR_HOST_IS_LOCAL = -50,
	DERR_ROUTE_RETRY = -52,   /* retry times not reached: routing, address, all hosts */
	DERR_LOCAL_RETRY = -53,
	DERR_HOST_RETRY = -54,
	DERR_LOCAL_ONLY = -55,
	DERR_QUEUE_DOMAIN = -56,
	DERR_TRANSPORT_LIMIT = -57
};
enum { MORE_CONNECT_TIMEOUT = 0x100 };
