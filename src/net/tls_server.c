/* tls_server.c - the context of a server: versions and ciphers, certificates by name, tickets that all processes accept. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

/* RFC 9325 section 4.2: forward secrecy and authenticated encryption for TLS 1.2; TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS  "X25519:P-256:P-384"
/* For old devices that cannot be updated: their ciphers and SHA-1 signatures. 3DES only if OpenSSL was built with it. */
#define LEGACY_CIPHERS CIPHERS ":ECDHE+AES:RSA+AESGCM:RSA+AES:ECDHE+3DES:RSA+3DES:!aNULL:!eNULL:@SECLEVEL=0"
#define LEGACY_GROUPS  GROUPS ":P-521"

/* ---- names ---- */

/* The host that the client asks for; "": none. RFC 6066 section 3: the list has several types, but only host names are
 * defined. */
static struct str asked_name(SSL *ssl)
{
	const unsigned char *p;
	size_t n;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1)
		return S("");
	/* list length, type 0, name length, name: OpenSSL refuses a malformed list when it reads it later */
	if (n < 5 || (size_t)(p[0] << 8 | p[1]) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name ||
	    (size_t)(p[3] << 8 | p[4]) > n - 5)
		return S("");
	return str_make(p + 5, (size_t)(p[3] << 8 | p[4]));
}

/* Called first for each client's hello, so that a session is resumed only under the certificates that it began with. */
static int on_client_hello(SSL *ssl, int *alert_out, void *ctx)
{
	const struct tls_set *set = set_for(ctx, asked_name(ssl));

	if (set && SSL_set_SSL_CTX(ssl, set->ctx) == NULL) {
		*alert_out = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* RFC 6066 section 3: acknowledge a name that chose the certificate; for an unknown name continue without a reply. */
static int on_server_name(SSL *ssl, int *alert_out, void *ctx)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_set *set = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return name && set_for(set->context, str_of(name)) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* ---- protocols ---- */

/* A client that lists other protocols by ALPN, such as HTTP, was redirected here by an attacker (ALPACA). No protocol of
 * submission is registered; clients that name one use these. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n, void *ctx)
{
	static const struct str own[] = { S("smtp"), S("esmtp"), S("smtps"), S("submission"), S("submissions") };

	for (unsigned at = 0; at + 1 < in_n && at + 1 + in[at] <= in_n; at += 1 + in[at])
		for (size_t i = 0; i < sizeof own / sizeof *own; i++)
			if (str_ieq(str_make(in + at + 1, in[at]), own[i])) {
				*out = in + at + 1;
				*out_n = in[at];
				return SSL_TLSEXT_ERR_OK;
			}
	return SSL_TLSEXT_ERR_ALERT_FATAL; /* no_application_protocol, RFC 7301 section 3.2 */
}

/* ---- certificates ---- */

/* Name the certificates and rules of the session: a ticket is valid only for the same ones. */
static void set_session_id(const struct tls_set *set, const struct tls_server_options *options)
{
	unsigned char rules[2] = { (unsigned char)options->minimum, options->legacy }, digest[EVP_MAX_MD_SIZE],
		      of_leaf[EVP_MAX_MD_SIZE];
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned n;

	if (!md || EVP_DigestInit_ex(md, EVP_sha256(), NULL) != 1)
		abort();
	EVP_DigestUpdate(md, rules, sizeof rules);
	for (long more = SSL_CTX_set_current_cert(set->ctx, SSL_CERT_SET_FIRST); more == 1;
	     more = SSL_CTX_set_current_cert(set->ctx, SSL_CERT_SET_NEXT))
		if (X509_digest(SSL_CTX_get0_certificate(set->ctx), EVP_sha256(), of_leaf, &n) == 1)
			EVP_DigestUpdate(md, of_leaf, n);
	EVP_DigestFinal_ex(md, digest, &n);
	EVP_MD_CTX_free(md);
	SSL_CTX_set_session_id_context(set->ctx, digest, SSL_MAX_SID_CTX_LENGTH);
}

/* NULL, or the fault. */
static const char *use_certificate(SSL_CTX *ctx, const struct certificate *c, bool legacy)
{
	/* the ciphers first: they set the security level, which certificates must meet too */
	if (SSL_CTX_set_cipher_list(ctx, legacy ? LEGACY_CIPHERS : CIPHERS) != 1)
		return "no cipher is available";
	return SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 0) == 1 ? NULL : "the certificate cannot be used";
}

/* ---- the context ---- */

static int protocol_version(const struct tls_server_options *options)
{
	static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };

	return options->legacy ? TLS1_VERSION : versions[options->minimum];
}

/* All sets are the same except for their certificates. NULL, or the fault. */
static const char *set_rules(struct tls_context *t, struct tls_set *set, const struct tls_server_options *options)
{
	SSL_CTX *ctx = set->ctx;

	if (SSL_CTX_set_min_proto_version(ctx, protocol_version(options)) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, options->legacy ? LEGACY_GROUPS : GROUPS) != 1)
		return "the minimum TLS version is not available";
	/* only tickets, so that a closed session takes no memory; no early data */
	if (SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket_key) != 1)
		return "session tickets are not available";
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_app_data(ctx, set);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, t);
	SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
	set_session_id(set, options);
	return NULL;
}

/* Read all certificates. NULL, or the fault; *at_out: of which one. */
static const char *read_all(const struct tls_server_options *options, struct certificate *certificates, struct arena *a,
			    size_t *at_out)
{
	const char *fault = NULL;

	for (*at_out = 0; *at_out < options->n && !fault; *at_out += !fault)
		fault = certificate_read(&certificates[*at_out], options->certificates[*at_out].chain_pem,
					 options->certificates[*at_out].key_pem, a);
	return fault;
}

/* Make the sets of the certificates. NULL, or the fault; *at_out: of which certificate, n when of none. */
static const char *fill(struct tls_context *t, const struct tls_server_options *options, const struct certificate *certificates,
			size_t *at_out)
{
	const char *fault = NULL;

	*at_out = options->n;
	sets_choose(t, certificates, options->n);
	t->tickets = ticket_keys_new(options);
	for (size_t i = 0; i < t->n; i++) {
		for (size_t k = 0; k < t->sets[i].n; k++) {
			fault = use_certificate(t->sets[i].ctx, &certificates[t->sets[i].members[k]], options->legacy);
			if (fault) {
				*at_out = t->sets[i].members[k];
				return fault;
			}
		}
		fault = set_rules(t, &t->sets[i], options);
		if (fault)
			return fault;
	}
	return NULL;
}

struct tls_context *tls_server_context(const struct tls_server_options *options, struct arena *a, struct verdict *why_out)
{
	struct tls_context *t = tls_context_new(0);
	struct certificate *certificates = xcalloc(options->n + 1, sizeof *certificates);
	const char *fault;
	size_t at;

	ERR_clear_error();
	fault = read_all(options, certificates, &t->arena, &at);
	if (options->n == 0)
		fault = "there is no certificate";
	else if (!fault && options->ticket_secret.n != 0 && options->ticket_secret.n != TLS_TICKET_SECRET)
		fault = "the ticket secret does not have 40 bytes";
	else if (!fault)
		fault = fill(t, options, certificates, &at);
	for (size_t i = 0; i < options->n; i++)
		certificate_fini(&certificates[i]);
	free(certificates);
	*why_out = ok();
	if (!fault)
		return t;
	*why_out = tls_fault(a, fault);
	if (at < options->n)
		why_out->text = arena_printf(a, "certificate %zu: %.*s", at + 1, STR_ARG(why_out->text));
	tls_context_unref(t);
	return NULL;
}
