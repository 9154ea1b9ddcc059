/* SPDX-License-Identifier: Apache-2.0
 * ${certextract (manual 11.5): a field of a certificate. The second argument is the name of a
 * certificate variable; those hold PEM. */
#include "expand/tree.h"
#include "expand/text.h"
#include "base/limits.h"
#include "lookup/match.h"
#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include "base/banned.h"

static bool is_certificate(const struct xseq *s)
{
	const struct xnode *n = s->first;

	return n && !n->next && n->kind == XN_VAR && !s->broken && str_starts(n->name, "tls_") &&
	    (str_ends(n->name, "_peercert") || str_ends(n->name, "_ourcert"));
}

static void parse_certextract(struct xparser *x, struct xnode *n)
{
	for (int i = 0; i < 2; i++) {
		xparse_space(x);
		if (!xparse_take(x, '{')) {
			xparse_error(x, "missing '{' for %s arg of certextract", i == 0 ? "1st" : "2nd");
			return;
		}
		n->arg[n->args++] = xparse_braced(x);
		if (x->failed)
			return;
	}
	if (!is_certificate(n->arg[1])) {
		xparse_error(x, "second argument of \"certextract\" must be a certificate variable");
		return;
	}
	xparse_yesno(x, n);
}

/* What one field needs: the certificate, the modifiers behind the name, where the text goes. */
struct want {
	struct eval *ev;
	X509 *cert;
	struct str mods;
	struct strbuf *out;
	char sep;
	bool any;
};

static void put_item(struct want *w, const char *tag, struct str v)
{
	if (w->any)
		sb_ch(w->out, w->sep);
	w->any = true;
	sb_addc(w->out, tag);
	for (uint32_t i = 0; i < v.len; i++) {
		sb_ch(w->out, v.p[i]);
		if (v.p[i] == w->sep)
			sb_ch(w->out, v.p[i]);
	}
}

static void put_bio(struct want *w, BIO *b)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);

	if (n > 0)
		sb_addn(w->out, p, (size_t)n);
	BIO_free(b);
}

static bool has_mod(struct want *w, const char *word)
{
	struct str rest = w->mods;

	while (rest.p) {
		struct str one = str_cut(rest, ',', &rest);
		if (str_ieqc(str_trim(one), word))
			return true;
	}
	return false;
}

/* The modifier that is a label: "CN", "dns"; and the separator behind ">". */
static struct str label(struct want *w)
{
	struct str rest = w->mods, found = STR_NONE;

	while (rest.p) {
		struct str one = str_cut(rest, ',', &rest);
		if (one.len == 2 && one.p[0] == '>')
			w->sep = one.p[1];
		else if (one.len == 1 && one.p[0] == '>') /* the separator is the comma */
			w->sep = ',';
		else if (!str_empty(one))
			found = str_trim(one);
	}
	return found;
}

static bool get_version(struct want *w)
{
	sb_printf(w->out, "%ld", X509_get_version(w->cert) + 1);
	return true;
}

static bool get_serial(struct want *w)
{
	const ASN1_INTEGER *n = X509_get0_serialNumber(w->cert);

	text_hex(w->out, ASN1_STRING_get0_data(n), (size_t)ASN1_STRING_length(n), false);
	return true;
}

static bool get_name(struct want *w, X509_NAME *name)
{
	struct str only = label(w);

	if (!only.p) {
		BIO *b = BIO_new(BIO_s_mem());
		X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB);
		put_bio(w, b);
		return true;
	}
	int nid = OBJ_txt2nid(str_cstr(w->ev->lx.arena, str_upper(w->ev->lx.arena, only)));
	for (int at = -1; nid != NID_undef && (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
		const ASN1_STRING *v = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
		put_item(w, "", str_n((const char *)ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v)));
	}
	return w->any;
}
static bool get_subject(struct want *w) { return get_name(w, X509_get_subject_name(w->cert)); }
static bool get_issuer(struct want *w) { return get_name(w, X509_get_issuer_name(w->cert)); }

static bool get_time(struct want *w, const ASN1_TIME *t)
{
	struct tm tm;
	char buf[64];
	bool utc = w->ev->lx.config && str_ieqc(w->ev->lx.config->main.timezone.text, "UTC");

	if (!ASN1_TIME_to_tm(t, &tm))
		return false;
	time_t s = timegm(&tm);
	if (has_mod(w, "int")) {
		sb_printf(w->out, "%lld", (long long)s);
		return true;
	}
	if (utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	strftime(buf, sizeof buf, "%b %e %T %Y ", &tm);
	sb_addc(w->out, buf);
	if (utc) {
		sb_addc(w->out, "GMT");
	} else {
		strftime(buf, sizeof buf, "%z", &tm);
		sb_addc(w->out, buf);
	}
	return true;
}
static bool get_notbefore(struct want *w) { return get_time(w, X509_get0_notBefore(w->cert)); }
static bool get_notafter(struct want *w) { return get_time(w, X509_get0_notAfter(w->cert)); }

static bool get_sig_algorithm(struct want *w)
{
	sb_addc(w->out, OBJ_nid2ln(X509_get_signature_nid(w->cert)));
	return true;
}

static bool get_signature(struct want *w)
{
	const ASN1_BIT_STRING *sig = NULL;

	X509_get0_signature(&sig, NULL, w->cert);
	const unsigned char *p = ASN1_STRING_get0_data(sig);
	for (int i = 0; i < ASN1_STRING_length(sig); i++) {
		if (i)
			sb_ch(w->out, ':');
		sb_printf(w->out, "%02x", p[i]);
	}
	return true;
}

static bool get_altname(struct want *w)
{
	struct str only = label(w);
	GENERAL_NAMES *names = X509_get_ext_d2i(w->cert, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		const char *tag = g->type == GEN_DNS ? "DNS" : g->type == GEN_URI ? "URI" : g->type == GEN_EMAIL ? "MAIL" : NULL;
		if (!tag || (only.p && !str_ieqc(only, tag)))
			continue;
		char with_equals[8];
		snprintf(with_equals, sizeof with_equals, "%s=", tag);
		put_item(w, only.p ? "" : with_equals, str_n((const char *)ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5)));
	}
	GENERAL_NAMES_free(names);
	return w->any;
}

static bool get_ocsp(struct want *w)
{
	label(w);
	STACK_OF(OPENSSL_STRING) *list = X509_get1_ocsp(w->cert);
	for (int i = 0; list && i < sk_OPENSSL_STRING_num(list); i++)
		put_item(w, "", str_c(sk_OPENSSL_STRING_value(list, i)));
	X509_email_free(list);
	return w->any;
}

static bool get_crl(struct want *w)
{
	label(w);
	STACK_OF(DIST_POINT) *points = X509_get_ext_d2i(w->cert, NID_crl_distribution_points, NULL, NULL);
	for (int i = 0; points && i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT *dp = sk_DIST_POINT_value(points, i);
		const GENERAL_NAMES *names = dp->distpoint && dp->distpoint->type == 0 ? dp->distpoint->name.fullname : NULL;
		for (int k = 0; names && k < sk_GENERAL_NAME_num(names); k++) {
			const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, k);
			if (g->type == GEN_URI)
				put_item(w, "", str_n((const char *)ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5)));
		}
	}
	CRL_DIST_POINTS_free(points);
	return w->any;
}

static const struct {
	const char *name;
	bool (*get)(struct want *w);
} fields[] = {{"version", get_version}, {"serial_number", get_serial}, {"subject", get_subject}, {"issuer", get_issuer},
    {"notbefore", get_notbefore}, {"notafter", get_notafter}, {"sig_algorithm", get_sig_algorithm},
    {"signature", get_signature}, {"subj_altname", get_altname}, {"ocsp_uri", get_ocsp}, {"crl_uri", get_crl}};

static enum expand_status field_of(struct eval *ev, struct str field, struct str pem, struct str *ret, bool *found)
{
	struct str mods, name = str_cut(field, ',', &mods);
	struct strbuf sb;

	*found = false;
	for (size_t i = 0; i < countof(fields); i++) {
		if (!str_ieqc(str_trim(name), fields[i].name))
			continue;
		BIO *b = str_empty(pem) ? NULL : BIO_new_mem_buf(pem.p, (int)pem.len);
		X509 *cert = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
		BIO_free(b);
		if (!cert)
			return EXPAND_OK;
		sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
		struct want w = {.ev = ev, .cert = cert, .mods = mods, .out = &sb, .sep = '\n'};
		*found = fields[i].get(&w);
		X509_free(cert);
		*ret = sb_str(&sb);
		ret->taint = 1;
		return EXPAND_OK;
	}
	return expand_fail(ev, "bad field selector \"%.*s\" for certextract", STR_ARG(name));
}

static enum expand_status run_certextract(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str value = STR_NONE, field = str_trim(arg[0]);
	bool found;

	if (str_empty(field))
		return expand_fail(ev, "first argument of \"certextract\" must not be empty");
	enum expand_status st = field_of(ev, field, arg[1], &value, &found);
	return st == EXPAND_OK ? xyesno(ev, n, found, value, out) : st;
}

const struct expand_item items_cert[] = {
    {.name = "certextract", .parse = parse_certextract, .run = run_certextract},
    {0},
};

/* ${md5:, ${sha1:, ${sha256:, ${base64: of a certificate variable are about its DER form. */
bool xcertificate_der(struct eval *ev, const struct xseq *s, struct str pem, struct str *ret)
{
	unsigned char *der = NULL;

	if (!is_certificate(s) || str_empty(pem))
		return false;
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.len);
	X509 *cert = PEM_read_bio_X509(b, NULL, NULL, NULL);
	BIO_free(b);
	int n = cert ? i2d_X509(cert, &der) : 0;
	if (n > 0)
		*ret = str_dup(ev->lx.arena, str_n((const char *)der, (size_t)n));
	OPENSSL_free(der);
	X509_free(cert);
	return n > 0;
}
