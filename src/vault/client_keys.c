/* client_keys.c - see client_keys.h. */
#include "client_keys.h"

#include "client_text.h"
#include "pem_key.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

#define KEY_ID 32 /* SHA-256 of the public key */

struct client_key {
	struct str upstream; /* in the arena */
	unsigned char id[KEY_ID];
	EVP_PKEY *key;
};

struct client_keys {
	struct arena arena;
	struct client_key *keys;
	size_t n;
};

/* NULL, or why the key cannot be used. */
static const char *prepare(struct client_key *k, struct str pem)
{
	unsigned char *public = NULL;
	int n;
	bool good;

	k->key = pem_key(pem);
	if (!k->key)
		return "it is no private key in PEM without pass phrase";
	n = i2d_PUBKEY(k->key, &public);
	good = n > 0 && EVP_Digest(public, (size_t)n, k->id, NULL, EVP_sha256(), NULL) == 1;
	OPENSSL_free(public);
	ERR_clear_error();
	return good ? NULL : "OpenSSL cannot use it";
}

struct client_keys *client_keys_new(struct arena *a, const struct config *c, struct verdict *why_out)
{
	struct client_keys *all = NEW(struct client_keys);

	*why_out = ok();
	all->keys = ARENA_ARRAY(&all->arena, struct client_key, c->upstreams_n + 1);
	for (size_t i = 0; i < c->upstreams_n; i++) {
		const struct cfg_upstream *u = &c->upstreams[i];
		struct client_key *k = &all->keys[all->n];
		const char *why;

		if (u->certificate_key_pem.n == 0)
			continue;
		all->n++;
		k->upstream = arena_str(&all->arena, u->name);
		why = prepare(k, u->certificate_key_pem);
		if (!why)
			continue;
		*why_out = temp(451, S("4.7.5"), arena_printf(a, "certificate_key of upstream %.*s: %s", STR_ARG(u->name), why));
		client_keys_free(all);
		return NULL;
	}
	return all;
}

void client_keys_free(struct client_keys *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->n; i++)
		EVP_PKEY_free(all->keys[i].key);
	arena_fini(&all->arena);
	free(all);
}

/* ---- signatures ---- */

/* RFC 8446 4.2.3, and the same numbers as hash and algorithm in RFC 5246 7.4.1.4.1. */
static const struct scheme {
	unsigned number;
	const char *kind, *hash; /* NULL: the algorithm has its own */
	bool pss;
} schemes[] = {
	{ 0x0401, "RSA", "SHA256", false }, { 0x0501, "RSA", "SHA384", false }, { 0x0601, "RSA", "SHA512", false },
	{ 0x0804, "RSA", "SHA256", true },  { 0x0805, "RSA", "SHA384", true },  { 0x0806, "RSA", "SHA512", true },
	{ 0x0403, "EC", "SHA256", false },  { 0x0503, "EC", "SHA384", false },  { 0x0603, "EC", "SHA512", false },
	{ 0x0807, "ED25519", NULL, false },
};

static const struct scheme *find_scheme(uint64_t number, EVP_PKEY *key)
{
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
		if (schemes[i].number == number && EVP_PKEY_is_a(key, schemes[i].kind))
			return &schemes[i];
	return NULL;
}

static EVP_PKEY *find_key(const struct client_keys *all, const struct msg_tls_sign *m)
{
	for (size_t i = 0; i < all->n; i++)
		if (str_eq(all->keys[i].upstream, m->upstream) && str_eq(str_make(all->keys[i].id, KEY_ID), m->key))
			return all->keys[i].key;
	return NULL;
}

static bool sign(EVP_PKEY *key, const struct scheme *scheme, struct str text, struct arena *a, struct str *signature_out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *of_key; /* the context's */
	size_t n = (size_t)EVP_PKEY_get_size(key);
	unsigned char *signature = arena_alloc(a, n);
	bool good = ctx && EVP_DigestSignInit_ex(ctx, &of_key, scheme->hash, NULL, NULL, key, NULL) == 1;

	if (good && scheme->pss) /* RFC 8446 4.2.3: the salt is as long as the hash */
		good = EVP_PKEY_CTX_set_rsa_padding(of_key, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST) == 1;
	good = good && EVP_DigestSign(ctx, signature, &n, (const unsigned char *)text.p, text.n) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	*signature_out = str_make(signature, good ? n : 0);
	return good;
}

struct verdict client_keys_sign(const struct client_keys *all, struct arena *a, const struct msg_tls_sign *m,
				struct str *signature_out)
{
	EVP_PKEY *key = all ? find_key(all, m) : NULL;
	const struct scheme *scheme = key ? find_scheme(m->scheme, key) : NULL;

	if (!key)
		return temp(451, S("4.7.5"), S("the key of the certificate is not available"));
	if (!scheme || !client_text_fits(m->text))
		return temp(451, S("4.7.5"), S("not what a TLS client signs"));
	return sign(key, scheme, m->text, a, signature_out) ? ok() : temp(451, S("4.7.5"), S("signing failed"));
}
