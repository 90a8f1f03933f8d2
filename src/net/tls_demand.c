/* tls_demand.c - what a client demands of the certificate that the server shows, in OpenSSL's words: names that a trusted
 * authority has certified, TLSA records (RFC 7672 3), or fingerprints. */
#include "tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

enum { SHA256_BYTES = 32, SHA512_BYTES = 64 };

enum name_kind { NAME_UNFIT, NAME_HOST, NAME_ADDRESS };

/* OpenSSL would accept every subdomain for a name with a leading dot. */
static enum name_kind kind_of(struct arena *scratch, struct str name)
{
	const char *z = arena_cstr(scratch, name);
	struct in6_addr address;

	if (name.n == 0 || strlen(z) != name.n || z[0] == '.' || z[0] == '*')
		return NAME_UNFIT;
	return inet_pton(AF_INET, z, &address) == 1 || inet_pton(AF_INET6, z, &address) == 1 ? NAME_ADDRESS : NAME_HOST;
}

/* One of the names is enough. OpenSSL would demand an address in addition to a host name. */
static bool add_names(SSL *ssl, struct arena *scratch, const struct str_list *names)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	if (names->n == 1 && kind_of(scratch, names->at[0]) == NAME_ADDRESS)
		return X509_VERIFY_PARAM_set1_ip_asc(param, arena_cstr(scratch, names->at[0])) == 1;
	for (size_t i = 0; i < names->n; i++)
		if (kind_of(scratch, names->at[i]) != NAME_HOST ||
		    X509_VERIFY_PARAM_add1_host(param, names->at[i].p, names->at[i].n) != 1)
			return false;
	return names->n > 0;
}

/* ---- TLSA records ---- */

static bool is_certificate(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	bool whole = x && p == (const unsigned char *)der.p + der.n && X509_get0_pubkey(x);

	X509_free(x);
	ERR_clear_error();
	return whole;
}

static bool is_public_key(struct str der)
{
	const unsigned char *p = (const unsigned char *)der.p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)der.n);
	bool whole = key && p == (const unsigned char *)der.p + der.n;

	EVP_PKEY_free(key);
	ERR_clear_error();
	return whole;
}

bool tls_takes_tlsa(const struct tlsa *t)
{
	if ((t->usage != TLSA_DANE_TA && t->usage != TLSA_DANE_EE) || t->selector > TLSA_PUBLIC_KEY)
		return false; /* RFC 7672 3.1.3: PKIX-TA and PKIX-EE cannot be used between mail servers */
	switch (t->matching_type) {
	case TLSA_WHOLE: return t->selector == TLSA_CERTIFICATE ? is_certificate(t->data) : is_public_key(t->data);
	case TLSA_SHA2_256: return t->data.n == SHA256_BYTES;
	case TLSA_SHA2_512: return t->data.n == SHA512_BYTES;
	default: return false;
	}
}

static bool add_tlsa(SSL *ssl, const struct tlsa *t)
{
	bool added = tls_takes_tlsa(t) && SSL_dane_tlsa_add(ssl, t->usage, t->selector, t->matching_type,
							    (const unsigned char *)t->data.p, t->data.n) == 1;

	ERR_clear_error();
	return added;
}

/* RFC 7672 3.1.1: with DANE-EE neither names nor dates of the certificate count. 3.2.3: with DANE-TA the common name counts where
 * there is no DNS name; a wildcard is a whole label. OpenSSL trusts no authority of its own then. */
static bool demand_tlsa(SSL *ssl, const struct tls_client_options *o)
{
	bool some = false;

	if (SSL_dane_enable(ssl, NULL) != 1)
		return false;
	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	for (size_t i = 0; i < o->tlsa_n; i++)
		some |= add_tlsa(ssl, &o->tlsa[i]);
	return some;
}

/* A fingerprint is a DANE-EE record for the certificate and for its key: whichever of the two it is made of. */
static bool demand_fingerprints(SSL *ssl, const struct tls_client_options *o)
{
	bool good = SSL_dane_enable(ssl, NULL) == 1 && o->fingerprints.n > 0;

	SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	for (size_t i = 0; good && i < o->fingerprints.n; i++)
		for (uint8_t selector = TLSA_CERTIFICATE; good && selector <= TLSA_PUBLIC_KEY; selector++)
			good = add_tlsa(ssl, &(struct tlsa){ .usage = TLSA_DANE_EE,
							     .selector = selector,
							     .matching_type = TLSA_SHA2_256,
							     .data = o->fingerprints.at[i] });
	return good;
}

/* RFC 6125 6.4.4 and RFC 9525 2: the names are the subjectAltName's, never the common name. */
static bool demand_names(SSL *ssl, struct arena *scratch, const struct str_list *names)
{
	X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl),
					X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return add_names(ssl, scratch, names);
}

const char *tls_demand(SSL *ssl, const struct tls_client_options *o, SSL_verify_cb on_verified)
{
	struct arena scratch = { 0 };
	const char *fault = NULL;
	struct str sni = o->sni.n > 0 ? o->sni : o->names.n > 0 ? o->names.at[0] : S("");

	if (kind_of(&scratch, sni) == NAME_HOST && /* RFC 6066 3: never an address */
	    SSL_set_tlsext_host_name(ssl, arena_cstr(&scratch, sni)) != 1 && o->demand != TLS_DEMAND_NOTHING)
		fault = "the name the certificate should bear is not a host name";
	if (o->demand != TLS_DEMAND_NOTHING)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verified);
	if (o->demand == TLS_DEMAND_NOTHING && o->judge)
		(void)demand_names(ssl, &scratch, &o->names); /* OpenSSL verifies it, and goes on whatever comes of it */
	if (o->demand == TLS_DEMAND_NAMES && !demand_names(ssl, &scratch, &o->names))
		fault = "the name the certificate should bear is not a host name";
	if (o->demand == TLS_DEMAND_TLSA && !(demand_tlsa(ssl, o) && add_names(ssl, &scratch, &o->names)))
		fault = "the TLSA records cannot be used";
	if (o->demand == TLS_DEMAND_FINGERPRINTS && !demand_fingerprints(ssl, o))
		fault = "the fingerprints cannot be used";
	arena_fini(&scratch);
	return fault;
}

/* ---- what the server has shown ---- */

static bool digest(const void *der, int n, char digest_out[TLS_FINGERPRINT])
{
	return n > 0 && EVP_Digest(der, (size_t)n, (unsigned char *)digest_out, NULL, EVP_sha256(), NULL) == 1;
}

/* X509_pubkey_digest() would leave out the kind of the key. */
bool tls_fingerprints_of(X509 *x, struct tls_fingerprints *fingerprints_out)
{
	unsigned char *certificate = NULL, *key = NULL;
	int certificate_n = i2d_X509(x, &certificate), key_n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &key);
	bool good =
		digest(certificate, certificate_n, fingerprints_out->certificate) && digest(key, key_n, fingerprints_out->key);

	OPENSSL_free(certificate);
	OPENSSL_free(key);
	ERR_clear_error();
	return good;
}

enum tls_result tls_demand_result(long verified, enum tls_demand demand)
{
	switch (verified) {
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH: return TLS_RESULT_CERTIFICATE_HOST_MISMATCH;
	case X509_V_ERR_CERT_HAS_EXPIRED: return TLS_RESULT_CERTIFICATE_EXPIRED;
	/* RFC 8460 4.3.2.1: none of the records was found to be valid */
	case X509_V_ERR_DANE_NO_MATCH:
		return demand == TLS_DEMAND_TLSA ? TLS_RESULT_TLSA_INVALID : TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
	default: return TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
	}
}

const char *tls_demand_reason(long verified, enum tls_demand demand)
{
	if (verified != X509_V_ERR_DANE_NO_MATCH)
		return X509_verify_cert_error_string(verified);
	return demand == TLS_DEMAND_TLSA ? "it fits none of the TLSA records" : "it has none of the fingerprints";
}
