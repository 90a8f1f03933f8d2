/* fuzz_hello.c - the first bytes of a TLS client: the look at their lengths gives the same whatever pieces they come in, and OpenSSL
 * takes them with our callbacks. A host that the client names gets a certificate that has this name, or the first one. The first
 * byte says how the rest is cut. */
#include "client_hello.h"
#include "fuzz.h"
#include "tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

static void to_text(BIO *bio, struct str *text_out)
{
	char *bytes;
	long n = BIO_get_mem_data(bio, &bytes);

	*text_out = str_make(memcpy(malloc((size_t)n), bytes, (size_t)n), (size_t)n);
	BIO_free(bio);
}

/* A certificate for some names, signed by itself. */
static struct tls_certificate certificate(const char *names)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *chain = BIO_new(BIO_s_mem()), *own = BIO_new(BIO_s_mem());
	struct tls_certificate made;
	X509 *x = X509_new();
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);

	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_set_version(x, 2);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400 * 365);
	X509_set_pubkey(x, key);
	X509_add_ext(x, extension, -1);
	assert(X509_sign(x, key, NULL) > 0);
	PEM_write_bio_X509(chain, x);
	PEM_write_bio_PrivateKey(own, key, NULL, NULL, 0, NULL, NULL);
	to_text(chain, &made.chain_pem);
	to_text(own, &made.key_pem);
	X509_EXTENSION_free(extension);
	X509_free(x);
	EVP_PKEY_free(key);
	return made;
}

static struct tls_context *context(void)
{
	static struct tls_certificate certificates[3];
	static struct tls_context *made;
	static struct arena a;
	struct verdict why;

	if (made)
		return made;
	certificates[0] = certificate("DNS:relay.example.org");
	certificates[1] = certificate("DNS:*.example.net,DNS:example.net");
	certificates[2] = certificate("DNS:xn--bcher-kva.example,DNS:*.relay.example.org");
	made = tls_server_context(
		&(struct tls_server_options){ .certificates = certificates, .n = 3, .minimum = TLS_1_2, .ticket_secret = S("") },
		&a, &why);
	assert(made);
	return made;
}

static bool look(struct str bytes, size_t step, bool tls13, bool *over_out)
{
	struct client_hello h = { 0 };
	bool good = true;

	/* as stream_tls.c does: never more than to the end of a record at once */
	for (size_t at = 0; at < bytes.n && good; at += step)
		good = client_hello_feed(&h, str_head(str_from(bytes, at), step), tls13);
	*over_out = h.over;
	return good;
}

static void check_name(struct str host)
{
	const struct tls_context *t = context();
	const struct tls_set *set = set_for(t, host);

	assert(!set || (set >= t->sets && set < t->sets + t->n));
	if (set && str_iends(host, S(".example.net")))
		assert(str_find(str_head(host, host.n - strlen(".example.net")), '.') == host.n - strlen(".example.net"));
}

static void shake(struct str bytes)
{
	SSL *ssl = SSL_new(context()->sets[0].ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	SSL_set_bio(ssl, in, out);
	BIO_write(in, bytes.p, (int)bytes.n);
	assert(SSL_accept(ssl) != 1);
	SSL_free(ssl);
	ERR_clear_error();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str bytes = str_make(data, size);
	unsigned step = fuzz_byte(&bytes);
	bool over, over_again;

	if (size > 40000)
		return 0;
	assert(look(bytes, step / 2 + 1, true, &over) == look(bytes, 1, true, &over_again) && over == over_again);
	check_name(str_head(bytes, 300));
	shake(bytes);
	return 0;
}
