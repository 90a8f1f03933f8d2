/* dkim_keys.c - new DKIM keys, and what they are called. */
#include "dkim.h"

#include <assert.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <time.h>

EVP_PKEY *dkim_key_make(enum dkim_algorithm algorithm, unsigned bits)
{
	return algorithm == DKIM_RSA_SHA256 ? EVP_RSA_gen(bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

struct str dkim_selector(struct arena *a, enum dkim_algorithm algorithm, uint64_t now_ms, unsigned nth)
{
	time_t now_s = (time_t)(now_ms / 1000);
	struct str first;
	struct tm t;

	gmtime_r(&now_s, &t);
	first = arena_printf(a, "p%04d%02d%c", t.tm_year + 1900, t.tm_mon + 1, algorithm == DKIM_RSA_SHA256 ? 'r' : 'e');
	return nth == 1 ? first : arena_printf(a, "%.*s%u", STR_ARG(first), nth);
}

struct str dkim_key_file(struct arena *a, struct str domain, struct str selector)
{
	return arena_printf(a, "dkim-%.*s-%.*s.key", STR_ARG(domain), STR_ARG(selector));
}

struct str dkim_key_pem(struct arena *a, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	struct str pem;
	long n;

	assert(bio);
	n = PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 ? BIO_get_mem_data(bio, &text) : 0;
	pem = arena_str(a, str_make(text, (size_t)n));
	BIO_free(bio);
	return pem;
}
