/* dkim_key.c - the tags of DKIM's fields and records (RFC 6376 3.2), and public keys. */
#include "tags.h"
#include "text.h"

#include "posthouse/verify.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* "name = value" up to the next semicolon, without white space around both; false: there is no more. A tag without "=" has an
 * empty name. */
bool take_tag(struct str *rest, struct str *name_out, struct str *value_out)
{
	struct str tag;

	if (!str_split(rest, ';', &tag))
		return false;
	size_t equals = str_find(tag, '=');
	*name_out = equals < tag.n ? str_trim(str_head(tag, equals)) : S("");
	*value_out = str_trim(str_from(tag, equals < tag.n ? equals + 1 : 0));
	return true;
}

static bool is_blank(char c)
{
	return is_wsp(c) || c == '\r' || c == '\n';
}

/* Without any white space. */
struct str squeezed(struct arena *a, struct str s)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		if (!is_blank(s.p[i]))
			p[n++] = s.p[i];
	return str_make(p, n);
}

struct str dkim_tag(struct arena *a, struct str list, struct str name)
{
	struct str each, value;

	while (take_tag(&list, &each, &value))
		if (str_eq(each, name))
			return squeezed(a, value);
	return S("");
}

static bool rsa_fits(EVP_PKEY *key, struct str value, const unsigned char *digest)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool good = c && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
		    EVP_PKEY_verify(c, (const unsigned char *)value.p, value.n, digest, DKIM_DIGEST_SIZE) == 1;

	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return good;
}

static bool ed25519_fits(EVP_PKEY *key, struct str value, const unsigned char *digest)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(c, (const unsigned char *)value.p, value.n, digest, DKIM_DIGEST_SIZE) == 1;

	EVP_MD_CTX_free(c);
	ERR_clear_error();
	return good;
}

bool dkim_digest_fits(EVP_PKEY *key, const unsigned char *digest, struct str signature)
{
	return EVP_PKEY_is_a(key, "ED25519") ? ed25519_fits(key, signature, digest) : rsa_fits(key, signature, digest);
}

void dkim_sample_digest(struct str domain, struct str selector, unsigned char digest_out[DKIM_DIGEST_SIZE])
{
	struct arena a = { 0 };
	struct str text =
		arena_printf(&a, "posthouse shows that the key %.*s of %.*s works\n", STR_ARG(selector), STR_ARG(domain));

	int done = EVP_Digest(text.p, text.n, digest_out, NULL, EVP_sha256(), NULL);
	assert(done == 1); /* SHA-256 of memory cannot fail */
	arena_fini(&a);
}

EVP_PKEY *dkim_public_key(struct str bytes, bool ed25519)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	EVP_PKEY *key = NULL;

	if (ed25519)
		key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, p, bytes.n);
	else if (bytes.n < 1 << 16)
		key = d2i_PUBKEY(NULL, &p, (long)bytes.n);
	if (!key && !ed25519 && bytes.n < 1 << 16) {
		p = (const unsigned char *)bytes.p;
		key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)bytes.n);
	}
	ERR_clear_error();
	return key;
}
