/* init_keys.c - the keys that `posthouse init` makes, and a self-signed certificate. */
#include "init.h"

#include "posthouse/log.h"

#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sysexits.h>

static void write_key(struct init *t, const char *path, EVP_PKEY *key)
{
	FILE *file = init_create(t, path, 0600);

	init_finish(t, file, path, PEM_write_PKCS8PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1);
}

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
static bool name_certificate(struct init *t, X509 *certificate)
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
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					   (const unsigned char *)arena_cstr(&t->arena, str_head(t->hostname, 64)), -1, -1,
					   0) == 1 &&
		X509_set_issuer_name(certificate, name) == 1;
	BN_free(number);
	return named;
}

/* A self-signed certificate for the host, which also serves for tests from the machine itself. */
static X509 *make_certificate(struct init *t, EVP_PKEY *key)
{
	const char *names = arena_cstr(
		&t->arena, arena_printf(&t->arena, "DNS:%.*s,DNS:localhost,IP:127.0.0.1,IP:::1", STR_ARG(t->hostname)));
	/* RSA keys also decrypt, for clients that know no other exchange of keys than that */
	const char *usage = EVP_PKEY_is_a(key, "RSA") ? "critical,digitalSignature,keyEncipherment" : "critical,digitalSignature";
	X509 *c = X509_new();

	if (c && X509_set_version(c, X509_VERSION_3) == 1 && name_certificate(t, c) &&
	    X509_gmtime_adj(X509_getm_notBefore(c), -3600) &&
	    X509_time_adj_ex(X509_getm_notAfter(c), CERTIFICATE_DAYS, 0, NULL) && X509_set_pubkey(c, key) == 1 &&
	    add_extension(c, NID_basic_constraints, "critical,CA:FALSE") && add_extension(c, NID_key_usage, usage) &&
	    add_extension(c, NID_ext_key_usage, "serverAuth") && add_extension(c, NID_subject_alt_name, names) &&
	    add_extension(c, NID_subject_key_identifier, "hash") &&
	    add_extension(c, NID_authority_key_identifier, "keyid:always") && X509_sign(c, key, EVP_sha256()) > 0)
		return c;
	X509_free(c);
	return NULL;
}

static void write_certificate(struct init *t, EVP_PKEY *key, const char *chain_path, const char *key_path)
{
	X509 *certificate = key ? make_certificate(t, key) : NULL;
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
