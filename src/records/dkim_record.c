/* dkim_record.c - the DKIM record of a key. */
#include "posthouse/base64.h"
#include "posthouse/records.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

/* RFC 6376 3.6.1: SubjectPublicKeyInfo, as everybody publishes it. */
static struct str rsa_text(struct arena *a, const EVP_PKEY *key)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key, &der);
	struct str text = n > 0 ? base64_encode(a, str_make(der, (size_t)n)) : S("");

	OPENSSL_free(der);
	return text.n > 0 ? arena_printf(a, "v=DKIM1; k=rsa; p=%.*s", STR_ARG(text)) : S("");
}

/* RFC 8463 4.2: the 32 bytes of the key themselves. */
static struct str ed25519_text(struct arena *a, const EVP_PKEY *key)
{
	unsigned char raw[32];
	size_t n = sizeof(raw);

	if (EVP_PKEY_get_raw_public_key(key, raw, &n) != 1)
		return S("");
	return arena_printf(a, "v=DKIM1; k=ed25519; p=%.*s", STR_ARG(base64_encode(a, str_make(raw, n))));
}

struct str dkim_record_text(struct arena *a, const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA: return rsa_text(a, key);
	case EVP_PKEY_ED25519: return ed25519_text(a, key);
	default: return S("");
	}
}
