/* tls_certificate.c - reads a configured certificate: chain, key and names. */
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

/* The certificate, and those that follow it in the file. */
static const char *read_chain(struct certificate *c, struct str pem)
{
	BIO *bio = tls_text_bio(pem);
	const char *fault = NULL;
	unsigned long last;
	X509 *x;

	c->leaf = PEM_read_bio_X509_AUX(bio, NULL, tls_no_passphrase, NULL);
	c->chain = sk_X509_new_null();
	if (!c->chain)
		abort();
	if (!c->leaf)
		fault = "the chain has no certificate that can be read";
	while (!fault && (x = PEM_read_bio_X509(bio, NULL, tls_no_passphrase, NULL)))
		if (sk_X509_push(c->chain, x) == 0)
			abort();
	last = ERR_peek_last_error();
	if (!fault && !(ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE))
		fault = "the chain is damaged after its first certificate";
	if (!fault)
		ERR_clear_error(); /* of reading past the last certificate */
	BIO_free(bio);
	return fault;
}

const char *certificate_read_chain(struct certificate *c, struct str chain_pem)
{
	*c = (struct certificate){ 0 };
	return read_chain(c, chain_pem);
}

/* The private key, which must belong to the certificate. */
static const char *read_key(struct certificate *c, struct str pem)
{
	BIO *bio = tls_text_bio(pem);

	c->key = PEM_read_bio_PrivateKey(bio, NULL, tls_no_passphrase, NULL);
	BIO_free(bio);
	if (!c->key)
		return "the private key cannot be read (it must be PEM without a passphrase)";
	return X509_check_private_key(c->leaf, c->key) == 1 ? NULL : "the private key does not belong to the certificate";
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* A name with a NUL, a space or a control character inside is left out. */
static void add_name(struct certificate *c, const ASN1_STRING *text, struct arena *a)
{
	struct str name = str_make(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));

	for (size_t i = 0; i < name.n; i++)
		if ((unsigned char)name.p[i] <= ' ' || name.p[i] == 0x7f)
			return;
	if (name.n > 0)
		c->names.at[c->names.n++] = arena_lower(a, name);
}

/* RFC 6125 section 6.4.4: dNSNames; the common name only where there are none. */
static void read_names(struct certificate *c, struct arena *a)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(c->leaf);
	int n = sk_GENERAL_NAME_num(names), at; /* -1 when there are none */

	c->names.at = ARENA_ARRAY(a, struct str, n > 0 ? (size_t)n : 1);
	for (int i = 0; i < n; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			add_name(c, name->d.dNSName, a);
	}
	GENERAL_NAMES_free(names);
	at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
	if (c->names.n == 0 && at >= 0)
		add_name(c, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), a);
	qsort(c->names.at, c->names.n, sizeof c->names.at[0], by_name);
	ERR_clear_error();
}

const char *certificate_read(struct certificate *c, struct str chain_pem, struct str key_pem, struct arena *a)
{
	const char *fault;

	fault = certificate_read_chain(c, chain_pem);
	if (c->leaf)
		read_names(c, a);
	return fault ? fault : read_key(c, key_pem);
}

void certificate_fini(struct certificate *c)
{
	X509_free(c->leaf);
	sk_X509_pop_free(c->chain, X509_free);
	EVP_PKEY_free(c->key);
}

uint64_t tls_certificate_expires(struct str chain_pem)
{
	BIO *bio = tls_text_bio(chain_pem);
	X509 *x = PEM_read_bio_X509_AUX(bio, NULL, tls_no_passphrase, NULL);
	struct tm end;
	time_t at = x && ASN1_TIME_to_tm(X509_get0_notAfter(x), &end) == 1 ? timegm(&end) : 0;

	X509_free(x);
	BIO_free(bio);
	ERR_clear_error();
	return at > 0 ? (uint64_t)at * 1000 : 0;
}

/* RFC 6125 section 6.4.3: "*" matches one label, the first. */
bool names_match(const struct str_list *names, struct str host)
{
	struct str parent;

	if (str_ends(host, S(".")))
		host.n--; /* RFC 6066 section 3 forbids the dot, but it names the same host */
	parent = str_from(host, str_find(host, '.'));
	for (size_t i = 0; i < names->n; i++) {
		struct str name = names->at[i];

		if (str_ieq(name, host))
			return true;
		if (str_starts(name, S("*.")) && parent.n > 1 && parent.n < host.n && str_ieq(str_from(name, 1), parent))
			return true;
	}
	return false;
}
