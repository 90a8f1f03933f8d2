/* certificate.c - certificates as OpenSSL reads them, in words. */
#include "certificate.h"

#include <arpa/inet.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#define STATUS_REQUEST 5 /* RFC 7633 4.1, RFC 6066 8 */

static STACK_OF(X509) * read_all(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	STACK_OF(X509) *all = sk_X509_new_null();
	X509 *one;

	while (bio && (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
		sk_X509_push(all, one);
	BIO_free(bio);
	ERR_clear_error();
	return all;
}

static struct str bio_text(struct arena *a, BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	struct str text = arena_str(a, str_make(p, n > 0 ? (size_t)n : 0));

	BIO_free(bio);
	return text;
}

static struct str name_text(struct arena *a, const X509_NAME *name)
{
	BIO *bio = BIO_new(BIO_s_mem());

	X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB & ~XN_FLAG_SPC_EQ);
	return bio_text(a, bio);
}

static struct str common_name(struct arena *a, X509_NAME *name)
{
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	const ASN1_STRING *s = at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));

	return s ? arena_lower(a, str_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s))) : S("");
}

static uint64_t time_ms(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) ? (uint64_t)timegm(&tm) * 1000 : 0;
}

/* ---- names ---- */

static struct str general_name(struct arena *a, const GENERAL_NAME *g)
{
	char text[INET6_ADDRSTRLEN];
	int type;
	const ASN1_STRING *s = GENERAL_NAME_get0_value(g, &type);

	if (type == GEN_DNS || type == GEN_URI)
		return arena_lower(a, str_make(ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)));
	if (type == GEN_IPADD && (ASN1_STRING_length(s) == 4 || ASN1_STRING_length(s) == 16) &&
	    inet_ntop(ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(s), text, sizeof text))
		return arena_str(a, str_of(text));
	return S("");
}

static void read_names(struct arena *a, X509 *x, struct certificate *out)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int n = all ? sk_GENERAL_NAME_num(all) : 0;

	out->names.at = ARENA_ARRAY(a, struct str, (size_t)n + 1);
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);
		struct str name = g->type == GEN_DNS || g->type == GEN_IPADD ? general_name(a, g) : S("");

		if (name.n > 0)
			out->names.at[out->names.n++] = name;
	}
	GENERAL_NAMES_free(all);
}

static struct str issuer_url(struct arena *a, X509 *x)
{
	AUTHORITY_INFO_ACCESS *all = X509_get_ext_d2i(x, NID_info_access, NULL, NULL);
	struct str url = S("");

	for (int i = 0; all && i < sk_ACCESS_DESCRIPTION_num(all) && url.n == 0; i++) {
		const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(all, i);

		if (OBJ_obj2nid(d->method) == NID_ad_ca_issuers && d->location->type == GEN_URI)
			url = general_name(a, d->location);
	}
	AUTHORITY_INFO_ACCESS_free(all);
	return url;
}

bool certificate_bears(const struct certificate *c, struct str name)
{
	struct str above = str_from(name, str_find(name, '.'));

	for (size_t i = 0; i < c->names.n; i++) {
		struct str pattern = c->names.at[i];

		if (str_ieq(pattern, name))
			return true;
		if (str_starts(pattern, S("*.")) && above.n > 1 && above.n < name.n && str_ieq(str_from(pattern, 1), above))
			return true;
	}
	return false;
}

/* ---- keys and signatures ---- */

static void read_key(struct arena *a, X509 *x, struct certificate *out)
{
	EVP_PKEY *key = X509_get0_pubkey(x);
	char group[80];

	out->key = KEY_OTHER;
	if (!key)
		return;
	out->bits = (unsigned)EVP_PKEY_get_bits(key);
	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		out->key = KEY_RSA;
	else if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448"))
		out->key = KEY_EDWARDS;
	else if (EVP_PKEY_is_a(key, "EC")) {
		out->key = KEY_EC;
		if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, NULL)) {
			const char *nist = EC_curve_nid2nist(OBJ_txt2nid(group));

			out->curve = arena_str(a, str_of(nist ? nist : group));
		}
	}
}

static bool is_self_issued(X509 *x)
{
	return X509_NAME_cmp(X509_get_subject_name(x), X509_get_issuer_name(x)) == 0;
}

/* A root's signature proves nothing to anybody, so its hash does not matter. */
static struct str old_hash(STACK_OF(X509) * all)
{
	for (int i = 0; i < sk_X509_num(all); i++) {
		int hash = NID_undef;

		X509_get_signature_info(sk_X509_value(all, i), &hash, NULL, NULL, NULL);
		if (i > 0 && is_self_issued(sk_X509_value(all, i)))
			continue;
		if (hash == NID_sha1 || hash == NID_md5 || hash == NID_md5_sha1)
			return hash == NID_sha1 ? S("SHA-1") : S("MD5");
	}
	return S("");
}

static bool has_must_staple(X509 *x)
{
	TLS_FEATURE *features = X509_get_ext_d2i(x, NID_tlsfeature, NULL, NULL);
	bool found = false;

	for (int i = 0; features && i < sk_ASN1_INTEGER_num(features); i++)
		found = found || ASN1_INTEGER_get(sk_ASN1_INTEGER_value(features, i)) == STATUS_REQUEST;
	TLS_FEATURE_free(features);
	return found;
}

/* ---- the chain ---- */

/* The authorities of the system are read once: a run looks at the same certificates again and again. */
static X509_STORE *system_authorities(void)
{
	static X509_STORE *store;

	if (!store) {
		store = X509_STORE_new();
		X509_STORE_set_default_paths(store);
		ERR_clear_error();
	}
	X509_STORE_up_ref(store);
	return store;
}

static X509_STORE *authorities(struct str pem)
{
	X509_STORE *store;
	STACK_OF(X509) * all;

	if (pem.n == 0)
		return system_authorities();
	store = X509_STORE_new();
	all = read_all(pem);
	for (int i = 0; i < sk_X509_num(all); i++)
		X509_STORE_add_cert(store, sk_X509_value(all, i));
	sk_X509_pop_free(all, X509_free);
	return store;
}

/* The first certificate that does not certify the one before it; NULL: there is none. A root at the end can stay away. */
static X509 *misplaced(STACK_OF(X509) * all)
{
	for (int i = 1; i < sk_X509_num(all); i++)
		if (X509_check_issued(sk_X509_value(all, i), sk_X509_value(all, i - 1)) != X509_V_OK)
			return sk_X509_value(all, i);
	return NULL;
}

static void judge(struct arena *a, X509_STORE_CTX *context, STACK_OF(X509) * all, struct certificate *out)
{
	int error = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
	X509 *at = X509_STORE_CTX_get_current_cert(context), *wrong = misplaced(all);

	switch (error) {
	case X509_V_OK:
		out->chain = wrong ? CHAIN_DISORDERED : CHAIN_GOOD;
		out->detail = wrong ? name_text(a, X509_get_subject_name(wrong)) : S("");
		break;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: out->chain = CHAIN_SELF_SIGNED; break;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		out->chain = CHAIN_PRIVATE;
		out->detail = at ? name_text(a, X509_get_subject_name(at)) : S("");
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		out->chain = CHAIN_INCOMPLETE;
		out->detail = at ? name_text(a, X509_get_issuer_name(at)) : out->issuer;
		break;
	default: out->chain = CHAIN_WRONG; out->detail = arena_str(a, str_of(X509_verify_cert_error_string(error)));
	}
}

static void read_chain(struct arena *a, STACK_OF(X509) * all, struct str authorities_pem, struct certificate *out)
{
	X509_STORE *store = authorities(authorities_pem);
	X509_STORE_CTX *context = X509_STORE_CTX_new();

	X509_STORE_CTX_init(context, store, sk_X509_value(all, 0), all);
	X509_STORE_CTX_set_flags(context, X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_TRUSTED_FIRST);
	X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
	judge(a, context, all, out);
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
	ERR_clear_error();
}

static struct str fingerprint(struct arena *a, X509 *x)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[2 * EVP_MAX_MD_SIZE + 1] = "";
	unsigned n = 0;

	X509_digest(x, EVP_sha256(), digest, &n);
	for (unsigned i = 0; i < n; i++)
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	return arena_str(a, str_of(text));
}

bool certificate_facts(struct arena *a, struct str pem, struct str authorities_pem, struct certificate *out)
{
	STACK_OF(X509) *all = read_all(pem);
	X509 *first = sk_X509_num(all) > 0 ? sk_X509_value(all, 0) : NULL;

	*out = (struct certificate){ 0 };
	if (first) {
		out->subject = name_text(a, X509_get_subject_name(first));
		out->issuer = name_text(a, X509_get_issuer_name(first));
		out->common_name = common_name(a, X509_get_subject_name(first));
		out->not_before = time_ms(X509_get0_notBefore(first));
		out->not_after = time_ms(X509_get0_notAfter(first));
		out->must_staple = has_must_staple(first);
		out->old_hash = old_hash(all);
		out->fingerprint = fingerprint(a, first);
		out->issuer_url = issuer_url(a, first);
		read_names(a, first, out);
		read_key(a, first, out);
		read_chain(a, all, authorities_pem, out);
	}
	sk_X509_pop_free(all, X509_free);
	return first != NULL;
}
