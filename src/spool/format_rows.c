/* SPDX-License-Identifier: Apache-2.0
 * The variable lines of a -H file in Exim's order (see format.h). */
#include "spool/format.h"

#include "base/banned.h"

#define AT(field) offsetof(struct message, field)

const struct spool_row spool_rows[] = {
    {"received_time_usec", ROW_USEC, AT(received_us), 0},
    {"received_time_complete", ROW_DONE_TIME, AT(received_done_us), 0},
    {"helo_name", ROW_STR, AT(peer.helo), 0},
    {"host_address", ROW_ENDPOINT, AT(peer.host_address), AT(peer.host_port)},
    {"host_name", ROW_STR, AT(peer.host_name), 0},
    {"host_auth", ROW_STR, AT(peer.auth_name), 0},
    {"host_auth_pubname", ROW_STR, AT(peer.auth_pubname), 0},
    {"interface_address", ROW_ENDPOINT, AT(peer.interface_address), AT(peer.interface_port)},
    {"active_hostname", ROW_STR, AT(peer.active_hostname), 0},
    {"ident", ROW_STR, AT(peer.ident), 0},
    {"received_protocol", ROW_STR, AT(peer.received_protocol), 0},
    {"acl", ROW_ACL, AT(acl_c), AT(acl_m)},
    {"debug_selector", ROW_STR, AT(debug_selector), 0},
    {"debuglog_name", ROW_STR, AT(debuglog_name), 0},
    {"body_linecount", ROW_LINES, AT(body_lines), AT(wireformat)},
    {"max_received_linelength", ROW_INT_ALWAYS, AT(max_line), 0},
    {"body_zerocount", ROW_INT, AT(body_zeros), 0},
    {"auth_id", ROW_STR, AT(peer.auth_id), 0},
    {"auth_sender", ROW_STR, AT(peer.auth_sender), 0},
    {"allow_unqualified_recipient", ROW_FLAG, AT(allow_unqualified_recipient), 0},
    {"allow_unqualified_sender", ROW_FLAG, AT(allow_unqualified_sender), 0},
    {"deliver_firsttime", ROW_FLAG, AT(deliver_firsttime), 0},
    {"frozen", ROW_TIME, AT(frozen_at), 0},
    {"N", ROW_FLAG, AT(dont_deliver), 0},
    {"host_lookup_deferred", ROW_FLAG, AT(peer.host_lookup_deferred), 0},
    {"host_lookup_failed", ROW_FLAG, AT(peer.host_lookup_failed), 0},
    {"local", ROW_FLAG, AT(sender_local), 0},
    {"localerror", ROW_FLAG, AT(local_error), 0},
    {"local_scan", ROW_STR, AT(local_scan_data), 0},
    {"spam_bar", ROW_STR, AT(spam_bar), 0},
    {"spam_score", ROW_STR, AT(spam_score), 0},
    {"spam_score_int", ROW_STR, AT(spam_score_int), 0},
    {"manual_thaw", ROW_FLAG, AT(manual_thaw), 0},
    {"sender_set_untrusted", ROW_FLAG, AT(sender_set_untrusted), 0},
    {"tls_certificate_verified", ROW_FLAG, AT(peer.tls.verified), 0},
    {"tls_cipher", ROW_STR, AT(peer.tls.cipher), 0},
    {"tls_peercert", ROW_PEM, AT(peer.tls.peer_cert), 0},
    {"tls_peerdn", ROW_STR, AT(peer.tls.peer_dn), 0},
    {"tls_sni", ROW_STR, AT(peer.tls.sni), 0},
    {"tls_ourcert", ROW_PEM, AT(peer.tls.our_cert), 0},
    {"tls_ocsp", ROW_INT, AT(peer.tls.ocsp), 0},
    {"tls_resumption", ROW_LETTER, AT(peer.tls.resumption), 0},
    {"tls_ver", ROW_STR, AT(peer.tls.version), 0},
    {"smtputf8", ROW_FLAG, AT(smtputf8), 0},
    {"utf8_downcvt", ROW_DOWNCONVERT, AT(utf8_downconvert), 0},
    {"dsn_envid", ROW_STR, AT(dsn_envid), 0},
    {"dsn_ret", ROW_DSN_RET, AT(dsn_ret), 0},
};
const size_t spool_row_count = countof(spool_rows);
