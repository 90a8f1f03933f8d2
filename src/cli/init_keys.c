/* init_keys.c - the keys that `posthouse init` makes, and a self-signed certificate. */
#include "init.h"
#include "self_signed.h"

#include "posthouse/log.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sysexits.h>

static void write_key(struct init *t, const char *path, EVP_PKEY *key)
{
	FILE *file = init_create(t, path, 0600);

	init_finish(t, file, path, PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
}

static void write_certificate(struct init *t, EVP_PKEY *key, const char *chain_path, const char *key_path)
{
	X509 *certificate = key ? self_signed(t->hostname, key) : NULL;
	FILE *file;
	bool written;

	if (!certificate)
		init_fail(t, EX_SOFTWARE, "OpenSSL could not make a certificate for %.*s", STR_ARG(t->hostname));
	write_key(t, key_path, key);
	file = init_create(t, chain_path, 0644);
	written = PEM_write_X509(file, certificate) == 1;
	X509_free(certificate);
	EVP_PKEY_free(key);
	init_finish(t, file, chain_path, written);
}

/* ---- a certificate that is there ---- */

static X509 *read_certificate(const char *path)
{
	FILE *file = fopen(path, "r");
	X509 *c = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;

	if (file)
		fclose(file);
	return c;
}

static EVP_PKEY *read_key(const char *path)
{
	static char empty[] = ""; /* the password: nobody is asked for one */
	FILE *file = fopen(path, "r");
	EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, empty) : NULL;

	if (file)
		fclose(file);
	return key;
}

void init_check_certificate(struct init *t)
{
	X509 *c = read_certificate(t->chain);
	EVP_PKEY *key = read_key(t->key);

	if (!c)
		die(EX_NOINPUT, "--certificate: expected a certificate in PEM in %s, such as certbot's fullchain.pem", t->chain);
	if (!key)
		die(EX_NOINPUT, "--key: expected a private key in PEM, without a password, in %s", t->key);
	if (X509_check_private_key(c, key) != 1)
		die(EX_DATAERR, "the key in %s is not that of the certificate in %s", t->key, t->chain);
	if (X509_check_host(c, t->hostname.p, t->hostname.n, 0, NULL) != 1)
		fprintf(stderr,
			"posthouse: warning: the certificate in %s does not have the name %.*s: clients will refuse it. Order it "
			"for that name, or name the relay as it does with --hostname\n",
			t->chain, STR_ARG(t->hostname));
	X509_free(c);
	EVP_PKEY_free(key);
}

/* ---- all ---- */

void init_make_keys(struct init *t)
{
	if (!t->has_certificate) {
		write_certificate(t, EVP_EC_gen("P-256"), t->chain, t->key);
		write_certificate(t, EVP_RSA_gen(2048), t->rsa_chain, t->rsa_key);
	}
	if (t->personal.n > 0)
		return;
	t->keys[0].key = EVP_RSA_gen(2048);
	t->keys[1].key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	for (size_t i = 0; i < INIT_KEYS; i++) {
		if (!t->keys[i].key)
			init_fail(t, EX_SOFTWARE, "OpenSSL could not make keys");
		write_key(t, t->keys[i].path, t->keys[i].key);
	}
}
