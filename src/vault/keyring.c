/* keyring.c - see keyring.h. The contexts of OpenSSL are made once for each key. */
#include "keyring.h"
#include "pem_key.h"
#include "posthouse/verify.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#define RSA_BITS_MIN 1024 /* RFC 8301 section 3.2: verifiers must not accept less */

struct signing_key {
	struct str domain, selector; /* in the keyring's arena */
	enum dkim_algorithm algorithm;
	EVP_PKEY *key;
	EVP_PKEY_CTX *rsa;   /* NULL for Ed25519 */
	EVP_MD_CTX *ed25519; /* NULL for RSA */
	size_t signature_max;
};

struct keyring {
	struct arena arena;
	struct signing_key *keys;
	size_t n;
};

/* RFC 6376 section 3.3.1: RSASSA-PKCS1-v1_5 over a SHA-256 digest. */
static const char *prepare_rsa(struct signing_key *k)
{
	if (EVP_PKEY_get_bits(k->key) < RSA_BITS_MIN)
		return "an RSA key must have at least 1024 bits, better 2048";
	k->algorithm = DKIM_RSA_SHA256;
	k->rsa = EVP_PKEY_CTX_new(k->key, NULL);
	if (!k->rsa || EVP_PKEY_sign_init(k->rsa) <= 0 || EVP_PKEY_CTX_set_rsa_padding(k->rsa, RSA_PKCS1_PADDING) <= 0 ||
	    EVP_PKEY_CTX_set_signature_md(k->rsa, EVP_sha256()) <= 0)
		return "OpenSSL cannot sign with it";
	return NULL;
}

/* RFC 8463 section 3: the digest is the message that Ed25519 signs. */
static const char *prepare_ed25519(struct signing_key *k)
{
	k->algorithm = DKIM_ED25519_SHA256;
	k->ed25519 = EVP_MD_CTX_new();
	return k->ed25519 ? NULL : "OpenSSL cannot sign with it";
}

/* NULL, or why the key cannot be used. */
static const char *prepare(struct signing_key *k, struct str pem)
{
	k->key = pem_key(pem);
	if (!k->key)
		return "it is no private key in PEM without pass phrase";
	k->signature_max = (size_t)EVP_PKEY_get_size(k->key);
	if (EVP_PKEY_is_a(k->key, "RSA"))
		return prepare_rsa(k);
	if (EVP_PKEY_is_a(k->key, "ED25519"))
		return prepare_ed25519(k);
	return "it is neither RSA nor Ed25519";
}

struct keyring *keyring_new(struct arena *a, const struct config *c, struct verdict *why_out)
{
	struct keyring *ring = NEW(struct keyring);

	ring->keys = ARENA_ARRAY(&ring->arena, struct signing_key, c->sign_n + 1);
	for (size_t i = 0; i < c->sign_n; i++) {
		const struct cfg_sign *s = &c->sign[i];
		struct signing_key *k = &ring->keys[ring->n++];
		const char *why = prepare(k, s->key_pem);

		k->domain = arena_str(&ring->arena, s->domain);
		k->selector = arena_str(&ring->arena, s->selector);
		if (why) {
			*why_out = temp(451, S("4.7.5"),
					arena_printf(a, "signing key %.*s of %.*s (%.*s): %s", STR_ARG(s->selector),
						     STR_ARG(s->domain), STR_ARG(s->key), why));
			keyring_free(ring);
			return NULL;
		}
	}
	*why_out = ok();
	return ring;
}

void keyring_free(struct keyring *ring)
{
	if (!ring)
		return;
	for (size_t i = 0; i < ring->n; i++) {
		EVP_PKEY_CTX_free(ring->keys[i].rsa);
		EVP_MD_CTX_free(ring->keys[i].ed25519);
		EVP_PKEY_free(ring->keys[i].key);
	}
	arena_fini(&ring->arena);
	free(ring);
}

size_t keyring_count(const struct keyring *ring)
{
	return ring->n;
}

struct verdict keyring_check_number(const struct keyring *ring, struct str domain, size_t digests)
{
	size_t n = 0;

	for (size_t i = 0; i < ring->n; i++)
		n += str_ieq(ring->keys[i].domain, domain);
	return digests <= n ? ok() : temp(451, S("4.7.5"), S("more digests than the domain has signing keys"));
}

static struct signing_key *find(struct keyring *ring, struct str domain, const struct rec_digest *digest)
{
	for (size_t i = 0; i < ring->n; i++) {
		struct signing_key *k = &ring->keys[i];

		if (str_ieq(k->domain, domain) && str_ieq(k->selector, digest->selector) && k->algorithm == digest->algorithm)
			return k;
	}
	return NULL;
}

struct verdict keyring_sign(struct keyring *ring, struct arena *a, struct str domain, const struct rec_digest *digest,
			    struct str *signature_out)
{
	struct signing_key *k = find(ring, domain, digest);
	const unsigned char *message = (const unsigned char *)digest->digest.p;
	unsigned char *signature;
	size_t n;
	bool made;

	if (!k)
		return temp(451, S("4.7.5"), S("signing key not available"));
	if (digest->digest.n != DKIM_DIGEST_SIZE)
		return temp(451, S("4.7.5"), S("not a digest to sign"));
	n = k->signature_max;
	signature = arena_alloc(a, n);
	if (k->rsa)
		made = EVP_PKEY_sign(k->rsa, signature, &n, message, DKIM_DIGEST_SIZE) > 0;
	else
		made = EVP_DigestSignInit(k->ed25519, NULL, NULL, NULL, k->key) > 0 &&
		       EVP_DigestSign(k->ed25519, signature, &n, message, DKIM_DIGEST_SIZE) > 0;
	if (!made) {
		ERR_clear_error();
		return temp(451, S("4.7.5"), S("signing failed"));
	}
	*signature_out = str_make(signature, n);
	return ok();
}

struct verdict keyring_sample(struct keyring *ring, struct arena *a, struct str domain, struct str selector,
			      struct str *signature_out)
{
	unsigned char digest[DKIM_DIGEST_SIZE];
	struct rec_digest sample = { .selector = selector, .digest = str_make(digest, sizeof digest) };

	for (size_t i = 0; i < ring->n; i++)
		if (str_ieq(ring->keys[i].domain, domain) && str_ieq(ring->keys[i].selector, selector))
			sample.algorithm = ring->keys[i].algorithm;
	dkim_sample_digest(domain, selector, digest);
	return keyring_sign(ring, a, domain, &sample, signature_out);
}
