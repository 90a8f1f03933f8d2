/* self_signed.c - a certificate without an authority. */
#include "self_signed.h"

#include "posthouse/arena.h"

#include <openssl/rand.h>
#include <openssl/x509v3.h>

#define MADE_BY "Posthouse, self-signed" /* organization of subject and issuer */

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool added;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	added = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added;
}

/* RFC 5280: a random serial number, and the same name as subject and issuer. */
static bool name_certificate(struct arena *a, X509 *certificate, struct str hostname)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	unsigned char serial[16];
	BIGNUM *number;
	bool named;

	if (RAND_bytes(serial, sizeof(serial)) != 1)
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
	number = BN_bin2bn(serial, sizeof(serial), NULL);
	named = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) &&
		X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)MADE_BY, -1, -1, 0) == 1 &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)arena_cstr(a, str_head(hostname, 64)),
					   -1, -1, 0) == 1 &&
		X509_set_issuer_name(certificate, name) == 1;
	BN_free(number);
	return named;
}

X509 *self_signed(struct str hostname, EVP_PKEY *key)
{
	struct arena a = { 0 };
	const char *names = arena_cstr(&a, arena_printf(&a, "DNS:%.*s,DNS:localhost,IP:127.0.0.1,IP:::1", STR_ARG(hostname)));
	/* RSA keys also decrypt, for clients that know no other exchange of keys than that */
	const char *usage = EVP_PKEY_is_a(key, "RSA") ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
	X509 *c = X509_new();
	bool made;

	made = c && X509_set_version(c, X509_VERSION_3) == 1 && name_certificate(&a, c, hostname) &&
	       X509_gmtime_adj(X509_getm_notBefore(c), -3600) &&
	       X509_time_adj_ex(X509_getm_notAfter(c), CERTIFICATE_DAYS, 0, NULL) && X509_set_pubkey(c, key) == 1 &&
	       add_extension(c, NID_basic_constraints, "critical,CA:FALSE") && add_extension(c, NID_key_usage, usage) &&
	       add_extension(c, NID_ext_key_usage, "serverAuth") && add_extension(c, NID_subject_alt_name, names) &&
	       add_extension(c, NID_subject_key_identifier, "hash") &&
	       add_extension(c, NID_authority_key_identifier, "keyid:always") && X509_sign(c, key, EVP_sha256()) > 0;
	arena_fini(&a);
	if (made)
		return c;
	X509_free(c);
	return NULL;
}

bool self_signed_here(X509 *certificate)
{
	const X509_NAME *subject = X509_get_subject_name(certificate);
	int at = X509_NAME_get_index_by_NID(subject, NID_organizationName, -1);
	const ASN1_STRING *made_by = at >= 0 ? X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)) : NULL;

	return made_by && X509_NAME_cmp(subject, X509_get_issuer_name(certificate)) == 0 &&
	       str_eq(str_make((const char *)ASN1_STRING_get0_data(made_by), (size_t)ASN1_STRING_length(made_by)), S(MADE_BY)) &&
	       X509_verify(certificate, X509_get0_pubkey(certificate)) == 1;
}
