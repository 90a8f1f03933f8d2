/* tls_server.c - what we offer as a server: versions and ciphers, certificates by name, tickets that every process takes. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#define TICKET_KEY_BYTES 80 /* OpenSSL's: a name, an HMAC key, an AES key */

/* RFC 9325 section 4.2: forward secrecy and authenticated encryption for TLS 1.2; TLS 1.3 has nothing else. */
#define CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define GROUPS  "X25519:P-256:P-384"
/* For devices that nobody can renew: what they have, and the SHA-1 signatures they know. 3DES only where OpenSSL was built with it. */
#define LEGACY_CIPHERS CIPHERS ":ECDHE+AES:RSA+AESGCM:RSA+AES:ECDHE+3DES:RSA+3DES:!aNULL:!eNULL:@SECLEVEL=0"
#define LEGACY_GROUPS  GROUPS ":P-521"

/* ---- names ---- */

/* The host that the client asks for; empty when it does not say. RFC 6066 section 3: a list, of which only host names were ever defined. */
static struct str asked_name(SSL *ssl)
{
	const unsigned char *p;
	size_t n;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1)
		return S("");
	/* list length, type 0, name length, name: what is malformed is refused by OpenSSL when it reads the same thing later */
	if (n < 5 || (size_t)(p[0] << 8 | p[1]) != n - 2 || p[2] != TLSEXT_NAMETYPE_host_name ||
	    (size_t)(p[3] << 8 | p[4]) > n - 5)
		return S("");
	return str_make(p + 5, (size_t)(p[3] << 8 | p[4]));
}

/* The first set that bears the name. */
static const struct tls_set *set_for(const struct tls_context *t, struct str name)
{
	for (size_t i = 0; i < t->n && name.n > 0; i++)
		if (names_match(&t->sets[i].names, name))
			return &t->sets[i];
	return NULL;
}

/* Before anything else is done with the client's hello: so a session is resumed only under the certificates it began with. */
static int on_client_hello(SSL *ssl, int *alert_out, void *ctx)
{
	const struct tls_set *set = set_for(ctx, asked_name(ssl));

	if (set && SSL_set_SSL_CTX(ssl, set->ctx) == NULL) {
		*alert_out = SSL_AD_INTERNAL_ERROR;
		return SSL_CLIENT_HELLO_ERROR;
	}
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* RFC 6066 section 3: who chose a certificate by the name says so; who knows no such name goes on with another, without a word. */
static int on_server_name(SSL *ssl, int *alert_out, void *ctx)
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const struct tls_set *set = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return name && names_match(&set->names, str_of(name)) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

/* ---- certificates ---- */

/* Which certificates and rules a session began under: a ticket holds for these alone. */
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

/* Has the set a certificate with this kind of key already? */
static bool has_kind(const struct tls_set *set, const struct certificate *c)
{
	for (long more = SSL_CTX_set_current_cert(set->ctx, SSL_CERT_SET_FIRST); more == 1;
	     more = SSL_CTX_set_current_cert(set->ctx, SSL_CERT_SET_NEXT))
		if (EVP_PKEY_get_base_id(SSL_CTX_get0_privatekey(set->ctx)) == EVP_PKEY_get_base_id(c->key))
			return true;
	return false;
}

/* The set that this certificate completes by another kind of key, or a new one. */
static struct tls_set *set_with_room(struct tls_context *t, const struct certificate *c)
{
	for (size_t i = 0; i < t->n; i++)
		if (same_names(&t->sets[i].names, &c->names) && !has_kind(&t->sets[i], c))
			return &t->sets[i];
	t->sets[t->n] = (struct tls_set){ .ctx = tls_ctx_new(TLS_server_method()), .names = c->names };
	return &t->sets[t->n++];
}

/* Take the certificate up; NULL, or what is wrong. */
static const char *add_certificate(struct tls_context *t, const struct tls_server_options *options, size_t i)
{
	struct certificate c;
	struct tls_set *set;
	const char *fault = certificate_read(&c, options->certificates[i].chain_pem, options->certificates[i].key_pem, &t->arena);

	if (!fault) {
		set = set_with_room(t, &c);
		set->keys++;
		/* first, because of the security level, by which certificates are judged too */
		if (SSL_CTX_set_cipher_list(set->ctx, options->legacy ? LEGACY_CIPHERS : CIPHERS) != 1)
			fault = "no cipher can be had";
		else if (SSL_CTX_use_cert_and_key(set->ctx, c.leaf, c.key, c.chain, 0) != 1)
			fault = "the certificate cannot be used";
	}
	certificate_fini(&c);
	return fault;
}

/* ---- the context ---- */

static int protocol_version(const struct tls_server_options *options)
{
	static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };

	return options->legacy ? TLS1_VERSION : versions[options->minimum];
}

/* All sets are the same but for their certificates. NULL, or what is wrong. */
static const char *set_rules(struct tls_context *t, struct tls_set *set, const struct tls_server_options *options)
{
	SSL_CTX *ctx = set->ctx;

	if (SSL_CTX_set_min_proto_version(ctx, protocol_version(options)) != 1 ||
	    SSL_CTX_set1_groups_list(ctx, options->legacy ? LEGACY_GROUPS : GROUPS) != 1)
		return "the minimum TLS version cannot be had";
	/* tickets alone, so a session costs us nothing once it is closed; never early data */
	if (options->ticket_key.n > 0 &&
	    SSL_CTX_set_tlsext_ticket_keys(ctx, (void *)(uintptr_t)options->ticket_key.p, options->ticket_key.n) != 1)
		return "the ticket key cannot be used";
	SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_num_tickets(ctx, 1);
	SSL_CTX_set_max_early_data(ctx, 0);
	SSL_CTX_set_app_data(ctx, set);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_server_name);
	SSL_CTX_set_client_hello_cb(ctx, on_client_hello, t);
	set_session_id(set, options);
	return NULL;
}

/* NULL, or what is wrong; *at_out: with which certificate, n when with none. */
static const char *fill(struct tls_context *t, const struct tls_server_options *options, size_t *at_out)
{
	const char *fault = NULL;

	for (*at_out = 0; *at_out < options->n; ++*at_out)
		if ((fault = add_certificate(t, options, *at_out)))
			return fault;
	if (options->n == 0)
		return "there is no certificate";
	if (options->ticket_key.n > 0 && options->ticket_key.n != TICKET_KEY_BYTES)
		return "the ticket key has another length than 80 bytes";
	for (size_t i = 0; i < t->n && !fault; i++)
		fault = set_rules(t, &t->sets[i], options);
	return fault;
}

struct tls_context *tls_server_context(const struct tls_server_options *options, struct arena *a, struct verdict *why_out)
{
	struct tls_context *t = tls_context_new(options->n);
	const char *fault;
	size_t at;

	ERR_clear_error();
	fault = fill(t, options, &at);
	*why_out = ok();
	if (!fault)
		return t;
	*why_out = tls_fault(a, fault);
	if (at < options->n)
		why_out->text = arena_printf(a, "certificate %zu: %.*s", at + 1, STR_ARG(why_out->text));
	tls_context_unref(t);
	return NULL;
}
