/* SPDX-License-Identifier: Apache-2.0
 * Variables about the address in hand (struct addr_view) and the outgoing connection (struct
 * out_view); manual 11.9. */
#include "expand/tree.h"
#include "base/banned.h"

#define GET(fn) static bool fn(struct eval *ev, void *obj, struct str *ret)
#define ADDR ((struct addr_view *)obj)
#define OUT ((struct out_view *)obj)

/* Exim prints an unknown id as the unsigned -1. */
static struct str id_text(struct eval *ev, int64_t v)
{
	return str_printf(ev->lx.arena, "%u", (unsigned)(int32_t)v);
}
GET(get_uid) { *ret = id_text(ev, ADDR->uid); return true; }
GET(get_gid) { *ret = id_text(ev, ADDR->gid); return true; }
GET(get_dane) { *ret = OUT->tls_dane_ok ? STR("yes") : STR("no"); return true; }

#define STRV(n, field, tnt) EXPAND_VAR_STR(n, SPACE_ADDRESS, struct addr_view, field, tnt)
#define OSTR(n, field, tnt) EXPAND_VAR_STR(n, SPACE_OUT, struct out_view, field, tnt)
#define OINT(n, field) {.name = (n), .space = SPACE_OUT, .kind = VAR_INT32, .offset = offsetof(struct out_view, field)}
#define OBOOL(n, field) {.name = (n), .space = SPACE_OUT, .kind = VAR_BOOL, .offset = offsetof(struct out_view, field)}
const struct expand_var vars_address[] = {
    STRV("address_data", address_data, false),
    STRV("address_file", address_file, false),
    STRV("address_pipe", address_pipe, false),
    STRV("domain", domain, true),
    STRV("domain_data", domain_data, false),
    STRV("home", home, false),
    STRV("host_data", host_data, false),
    STRV("local_part", local_part, true),
    STRV("local_part_data", local_part_data, false),
    STRV("local_part_prefix", local_part_prefix, false),
    STRV("local_part_prefix_v", local_part_prefix_v, true),
    STRV("local_part_suffix", local_part_suffix, false),
    STRV("local_part_suffix_v", local_part_suffix_v, true),
    STRV("local_part_verified", local_part_verified, false),
    {.name = "local_user_gid", .space = SPACE_ADDRESS, .kind = VAR_FN, .get = get_gid, .none = "4294967295"},
    {.name = "local_user_uid", .space = SPACE_ADDRESS, .kind = VAR_FN, .get = get_uid, .none = "4294967295"},
    STRV("original_domain", original_domain, true),
    STRV("original_local_part", original_local_part, true),
    STRV("parent_domain", parent_domain, true),
    STRV("parent_local_part", parent_local_part, true),
    STRV("return_path", return_path, true),
    STRV("router_name", router_name, false),
    STRV("self_hostname", self_hostname, false),
    STRV("sender_address_data", sender_address_data, false),
    STRV("transport_name", transport_name, false),
    STRV("verify_mode", verify_mode, false),
    OSTR("callout_address", callout_address, false),
    OSTR("host", host, true),
    OSTR("host_address", host_address, false),
    OINT("host_port", host_port),
    OSTR("sending_ip_address", sending_ip_address, false),
    {.name = "sending_port", .space = SPACE_OUT, .kind = VAR_INT32, .offset = offsetof(struct out_view, sending_port), .none = "-1"},
    OINT("tls_out_bits", tls_bits),
    OBOOL("tls_out_certificate_verified", tls_verified),
    OSTR("tls_out_cipher", tls_cipher, false),
    OSTR("tls_out_cipher_std", tls_cipher_std, false),
    {.name = "tls_out_dane", .space = SPACE_OUT, .kind = VAR_FN, .get = get_dane},
    OINT("tls_out_ocsp", tls_ocsp),
    OSTR("tls_out_ourcert", tls_our_cert, true),
    OSTR("tls_out_peercert", tls_peer_cert, true),
    OSTR("tls_out_peerdn", tls_peer_dn, true),
    OINT("tls_out_resumption", tls_resumption),
    OSTR("tls_out_sni", tls_sni, false),
    OSTR("tls_out_tlsa_usage", tls_dane, false),
    OSTR("tls_out_ver", tls_ver, false),
    {0},
};
