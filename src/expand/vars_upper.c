/* SPDX-License-Identifier: Apache-2.0
 * Variables that rooms above bring rows for. Without such a row they are what they are outside
 * their place (empty, or the value given), and an error that says so where their space is set
 * but nobody serves them. */
#include "expand/tree.h"
#include "base/banned.h"

static bool not_served(struct eval *ev, void *obj, struct str *ret)
{
	expand_fail(ev, "a variable used here is not supported yet");
	return false;
}

#define UP(n, sp, no) {.name = (n), .space = SPACE_##sp, .kind = VAR_FN, .get = not_served, .none = (no)}
const struct expand_var vars_upper[] = {
    UP("acl_arg1", ACL, NULL), UP("acl_arg2", ACL, NULL), UP("acl_arg3", ACL, NULL), UP("acl_arg4", ACL, NULL),
    UP("acl_arg5", ACL, NULL), UP("acl_arg6", ACL, NULL), UP("acl_arg7", ACL, NULL), UP("acl_arg8", ACL, NULL),
    UP("acl_arg9", ACL, NULL), UP("acl_narg", ACL, "0"), UP("acl_verify_message", ACL, NULL),
    UP("csa_status", ACL, NULL), UP("dnslist_domain", ACL, NULL), UP("dnslist_matched", ACL, NULL),
    UP("dnslist_text", ACL, NULL), UP("dnslist_value", ACL, NULL), UP("headers_added", ACL, NULL),
    UP("recipient_data", ACL, NULL), UP("recipient_verify_failure", ACL, NULL), UP("sender_data", ACL, NULL),
    UP("sender_rate", ACL, NULL), UP("sender_rate_limit", ACL, NULL), UP("sender_rate_period", ACL, NULL),
    UP("sender_verify_failure", ACL, NULL),
    UP("atrn_host", SESSION, NULL), UP("atrn_mode", SESSION, NULL), UP("connection_id", SESSION, NULL),
    UP("prdr_requested", SESSION, "no"), UP("rcpt_count", SESSION, "0"), UP("rcpt_defer_count", SESSION, "0"),
    UP("rcpt_fail_count", SESSION, "0"), UP("smtp_command", SESSION, NULL), UP("smtp_command_argument", SESSION, NULL),
    UP("smtp_command_history", SESSION, NULL), UP("smtp_count_at_connection_start", SESSION, "0"),
    UP("smtp_notquit_reason", SESSION, NULL), UP("queue_size", SESSION, NULL),
    UP("auth1", AUTH, NULL), UP("auth2", AUTH, NULL), UP("auth3", AUTH, NULL), UP("auth4", AUTH, NULL),
    UP("authenticated_fail_id", AUTH, NULL), UP("authentication_failed", AUTH, "0"),
    UP("bounce_recipient", BOUNCE, NULL), UP("warn_message_delay", BOUNCE, NULL), UP("warn_message_recipients", BOUNCE, NULL),
    UP("thisaddress", FILTER, NULL),
    UP("event_data", EVENT, NULL), UP("event_defer_errno", EVENT, "0"), UP("event_name", EVENT, NULL),
    UP("inode", ADDRESS, "0"), UP("mailstore_basename", ADDRESS, NULL), UP("pipe_addresses", ADDRESS, NULL),
    UP("dkim_algo", MAILAUTH, NULL), UP("dkim_bodylength", MAILAUTH, "-1"), UP("dkim_canon_body", MAILAUTH, NULL),
    UP("dkim_canon_headers", MAILAUTH, NULL), UP("dkim_copiedheaders", MAILAUTH, NULL), UP("dkim_created", MAILAUTH, "0"),
    UP("dkim_cur_signer", MAILAUTH, NULL), UP("dkim_domain", MAILAUTH, NULL), UP("dkim_expires", MAILAUTH, "9999999999"),
    UP("dkim_headernames", MAILAUTH, NULL), UP("dkim_identity", MAILAUTH, NULL), UP("dkim_key_granularity", MAILAUTH, NULL),
    UP("dkim_key_length", MAILAUTH, "0"), UP("dkim_key_nosubdomains", MAILAUTH, "0"), UP("dkim_key_notes", MAILAUTH, NULL),
    UP("dkim_key_srvtype", MAILAUTH, NULL), UP("dkim_key_testing", MAILAUTH, "0"), UP("dkim_selector", MAILAUTH, NULL),
    UP("dkim_signers", MAILAUTH, NULL), UP("dkim_verify_reason", MAILAUTH, NULL), UP("dkim_verify_status", MAILAUTH, NULL),
    UP("av_failed", SCAN, "0"), UP("malware_name", SCAN, NULL), UP("regex_match_string", SCAN, NULL),
    UP("regex1", SCAN, NULL), UP("regex2", SCAN, NULL), UP("regex3", SCAN, NULL), UP("regex4", SCAN, NULL),
    UP("regex5", SCAN, NULL), UP("regex6", SCAN, NULL), UP("regex7", SCAN, NULL), UP("regex8", SCAN, NULL), UP("regex9", SCAN, NULL),
    UP("spam_action", SCAN, NULL), UP("spam_report", SCAN, NULL),
    UP("mime_anomaly_level", SCAN, "0"), UP("mime_anomaly_text", SCAN, NULL), UP("mime_boundary", SCAN, NULL),
    UP("mime_charset", SCAN, NULL), UP("mime_content_description", SCAN, NULL), UP("mime_content_disposition", SCAN, NULL),
    UP("mime_content_id", SCAN, NULL), UP("mime_content_size", SCAN, "0"), UP("mime_content_transfer_encoding", SCAN, NULL),
    UP("mime_content_type", SCAN, NULL), UP("mime_decoded_filename", SCAN, NULL), UP("mime_filename", SCAN, NULL),
    UP("mime_is_coverletter", SCAN, "0"), UP("mime_is_multipart", SCAN, "0"), UP("mime_is_rfc822", SCAN, "0"),
    UP("mime_part_count", SCAN, "-1"),
    {0},
};
