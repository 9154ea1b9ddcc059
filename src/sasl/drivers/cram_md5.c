/* SPDX-License-Identifier: Apache-2.0
 * cram_md5 (manual 35, RFC 2195): the server sends a challenge, the client answers with its name
 * and HMAC-MD5(secret, challenge) in hex. */
#include "sasl/sasl_priv.h"
#include "base/limits.h"
#include "base/banned.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <unistd.h>

struct cram_options {
	struct xstr server_secret, client_name, client_secret;
};

#define DIGEST_HEX 32

static bool digest(struct str secret, struct str challenge, char hex[DIGEST_HEX + 1])
{
	unsigned char md[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (!HMAC(EVP_md5(), secret.p ? secret.p : "", (int)secret.len, (const unsigned char *)challenge.p, challenge.len, md, &len) ||
	    len * 2 != DIGEST_HEX)
		return false;
	for (unsigned i = 0; i < len; i++)
		snprintf(hex + 2 * (size_t)i, 3, "%02x", md[i]);
	OPENSSL_cleanse(md, sizeof md);
	return true;
}

static bool is_server(const struct driver_instance *di)
{
	const struct cram_options *o = di->options;

	return str_is_set(o->server_secret.text);
}

static bool is_client(const struct driver_instance *di)
{
	const struct cram_options *o = di->options;

	return str_is_set(o->client_secret.text);
}

/* RFC 2195 2: "<random.timestamp@host>", never the same twice. */
static struct str make_challenge(struct eval *ev)
{
	struct env *env = ev->lx.env;

	return str_printf(ev->lx.arena, "<%d%u.%lld@%.*s>", (int)getpid(), env->random(env), (long long)clock_s(&env->clock),
	    STR_ARG(ev->lx.config->primary_hostname));
}

static enum sasl_result server(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial,
    bool has_initial, struct str *ret_message)
{
	const struct cram_options *o = di->options;
	struct str challenge = make_challenge(ev), answer, secret;
	char hex[DIGEST_HEX + 1];
	enum sasl_result r;
	ptrdiff_t at;

	(void)initial;
	if (has_initial)
		return SASL_UNEXPECTED;
	r = t->challenge(t, challenge, &answer);
	if (r != SASL_OK)
		return r;
	/* the name may hold blanks, the digest does not */
	at = str_rchr(answer, ' ');
	if (at < 0 || answer.len - (size_t)at - 1 != DIGEST_HEX)
		return SASL_FAIL;
	sasl_set_auth(ev, 1, str_sub(answer, 0, (size_t)at));
	r = sasl_expand(ev, &o->server_secret, &secret, ret_message);
	if (r != SASL_OK)
		return r;
	if (!digest(secret, challenge, hex))
		return SASL_DEFER;
	if (CRYPTO_memcmp(hex, answer.p + at + 1, DIGEST_HEX) != 0)
		return SASL_FAIL;
	return sasl_condition(ev, di, ret_message);
}

static enum sasl_result client_option(struct eval *ev, const struct driver_instance *di, const struct xstr *x, struct str *ret, struct str *ret_message)
{
	switch (expand(ev, x, ret)) {
	case EXPAND_OK: return SASL_OK;
	case EXPAND_FORCED: return SASL_CANCELLED;
	case EXPAND_FAILED:
	case EXPAND_DEFER: break;
	}
	*ret_message = str_printf(ev->lx.arena, "expansion of \"%.*s\" failed in %.*s authenticator: %.*s", STR_ARG(x->text), STR_ARG(di->name),
	    STR_ARG(ev->lx.error));
	return SASL_ERROR;
}

static enum sasl_result client(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str *ret_message)
{
	const struct cram_options *o = di->options;
	struct str mechanism = str_is_set(sasl_generic(di)->public_name.text) ? sasl_generic(di)->public_name.text : di->name;
	struct str name = ev->lx.config->primary_hostname, secret, challenge;
	char hex[DIGEST_HEX + 1];
	enum sasl_result r;
	int code = 0;

	r = client_option(ev, di, &o->client_secret, &secret, ret_message);
	if (r == SASL_OK && str_is_set(o->client_name.text))
		r = client_option(ev, di, &o->client_name, &name, ret_message);
	if (r != SASL_OK)
		return r;
	r = t->respond(t, mechanism, true, STR_NONE, &challenge, &code);
	if (r != SASL_OK)
		return r == SASL_BAD64 ? SASL_CANCELLED : r;
	if (code != 334)
		return sasl_final(code);
	if (!digest(secret, challenge, hex))
		return SASL_ERROR;
	r = t->respond(t, mechanism, false, str_cat(ev->lx.arena, name, STR(" "), str_c(hex)), &challenge, &code);
	return r == SASL_OK ? sasl_final(code) : r;
}

#define ROW(name, TYPE, field, def, flags, doc) OPT_ROW(struct cram_options, name, TYPE, field, def, flags, doc)
static const struct opt_row options[] = {
	ROW("client_name", STRING, client_name, NULL, OPT_EXPAND, "User name to send; default: the primary host name"),
	ROW("client_secret", STRING, client_secret, NULL, OPT_EXPAND, "Secret of that user"),
	ROW("server_secret", STRING, server_secret, NULL, OPT_EXPAND, "Secret of the user in $auth1"),
};

extern const struct sasl_driver sasl_cram_md5;
const struct sasl_driver sasl_cram_md5 = {
	.info = {.name = "cram_md5", .options = options, .option_count = countof(options), .options_size = sizeof(struct cram_options)},
	.is_server = is_server, .is_client = is_client, .server = server, .client = client,
};
