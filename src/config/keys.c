/* keys.c - files with keys and certificates: read here because the roles that need them cannot; looked at so that `check` can
 * say what would not work. The only part of the loader that knows OpenSSL. */
#include "loader.h"

#include "posthouse/clock.h"
#include "posthouse/records.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#define PEM_MAX      MIB
#define EXPIRES_DAYS 14 /* warn that long before */

/* As net/tls_ticket.c has it: random bytes, and the day from which they hold. */
#define TICKET_RANDOM_BYTES 32

/* OpenSSL's security level 2, Debian's default, refuses certificates of less: RSA below 2048 bits. */
#define SECURITY_BITS 112

static BIO *bio_of(struct str pem)
{
	return BIO_new_mem_buf(pem.p, (int)pem.n);
}

/* A key that wants a passphrase cannot be used by a daemon: never ask at a terminal. */
static int no_passphrase(char *room, int size, int writing, void *ctx)
{
	*(bool *)ctx = true;
	return -1;
}

static EVP_PKEY *parse_key(struct str pem, bool *encrypted_out)
{
	BIO *bio = bio_of(pem);
	EVP_PKEY *key;

	*encrypted_out = false;
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, encrypted_out) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	return key;
}

bool key_is_rsa(struct str pem)
{
	bool encrypted, rsa;
	EVP_PKEY *key = parse_key(pem, &encrypted);

	rsa = key && EVP_PKEY_is_a(key, "RSA");
	EVP_PKEY_free(key);
	return rsa;
}

/* How many certificates the text has; the first is *first_out when that is asked for. */
static size_t parse_certificates(struct str pem, X509 **first_out)
{
	BIO *bio = bio_of(pem);
	X509 *certificate;
	size_t n = 0;

	while (bio && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		if (n++ == 0 && first_out)
			*first_out = certificate;
		else
			X509_free(certificate);
	}
	BIO_free(bio);
	ERR_clear_error();
	return n;
}

static bool is_missing(struct loader *l, struct str path)
{
	return access(arena_cstr(l->arena, path), F_OK) != 0 && errno == ENOENT;
}

/* The file's bytes into the arena; `name` is the key, as people write it. False: said. */
static bool read_pem(struct loader *l, const config_setting_t *s, const char *name, struct str path, bool secret,
		     struct str *pem_out)
{
	const char *why;
	unsigned mode;
	struct buf b;

	if (path.n == 0)
		return false; /* that the key is needed has been said */
	why = file_read(arena_cstr(l->arena, path), PEM_MAX, &b, &mode);
	if (why)
		fault(l, s, "%s: %.*s cannot be read: %s", name, STR_ARG(path), why);
	if (why && is_missing(l, path))
		fault_made_at_start(l, s);
	else if (!why)
		*pem_out = arena_str(l->arena, buf_view(&b));
	if (!why && secret && secret_note(l, path, mode))
		warning(l, s, "%s: everybody can read the private key %.*s; expected mode 0600", name, STR_ARG(path));
	buf_wipe(&b);
	return !why;
}

/* NULL: said. */
static EVP_PKEY *read_key(struct loader *l, const config_setting_t *s, const char *name, struct str path, struct str *pem_out)
{
	bool encrypted;
	EVP_PKEY *key;

	if (!read_pem(l, s, name, path, true, pem_out))
		return NULL;
	key = parse_key(*pem_out, &encrypted);
	if (!key)
		fault(l, s, "%s: expected a private key %sin PEM form in %.*s", name, encrypted ? "without passphrase " : "",
		      STR_ARG(path));
	return key;
}

/* A certificate and its key: where the file names them, the names of these keys, and what is read. */
struct pair {
	const config_setting_t *chain_at, *key_at;
	const char *chain_name, *key_name;
	struct str chain, key; /* paths */
	struct str *chain_pem, *key_pem;
};

/* Expired and soon to expire, not valid yet: such a certificate works, but the other side will complain. */
static void check_certificate(struct loader *l, const struct pair *p, X509 *certificate)
{
	const config_setting_t *s = p->chain_at;
	int days = 0, seconds = 0;

	if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
		warning(l, s, "%s: the certificate has expired", p->chain_name);
	else if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) == 1 && days < EXPIRES_DAYS)
		warning(l, s, "%s: the certificate expires in %d days", p->chain_name, days);
	if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
		warning(l, s, "%s: the certificate is not valid yet", p->chain_name);
}

/* The certificate, which the caller frees; NULL: there is none, which has been said. */
static X509 *load_pair(struct loader *l, const struct pair *p)
{
	X509 *certificate = NULL;
	EVP_PKEY *key = read_key(l, p->key_at, p->key_name, p->key, p->key_pem);

	if (read_pem(l, p->chain_at, p->chain_name, p->chain, false, p->chain_pem)) {
		if (parse_certificates(*p->chain_pem, &certificate) == 0)
			fault(l, p->chain_at, "%s: expected a certificate in PEM form in %.*s", p->chain_name, STR_ARG(p->chain));
		else
			check_certificate(l, p, certificate);
	}
	if (key && EVP_PKEY_get_security_bits(key) < SECURITY_BITS)
		fault(l, p->key_at, "%s: expected a stronger key: EC P-256, or RSA with at least 2048 bits", p->key_name);
	if (key && certificate && X509_check_private_key(certificate, key) != 1)
		fault(l, p->key_at, "%s: expected the key that belongs to the certificate %.*s", p->key_name, STR_ARG(p->chain));
	EVP_PKEY_free(key);
	ERR_clear_error();
	return certificate;
}

/* *read_out: there is a certificate; *ours_out: and it bears our name. Neither is set to false. */
static void load_certificate(struct loader *l, size_t i, bool *read_out, bool *ours_out)
{
	struct str hostname = l->config->hostname;
	struct cfg_certificate *c = &l->config->certificates[i];
	X509 *certificate = load_pair(l, &(struct pair){ .chain_at = setting_near(l, "certificates.[%zu].chain", i),
							 .key_at = setting_near(l, "certificates.[%zu].key", i),
							 .chain_name = "certificates.chain",
							 .key_name = "certificates.key",
							 .chain = c->chain,
							 .key = c->key,
							 .chain_pem = &c->chain_pem,
							 .key_pem = &c->key_pem });

	if (!certificate)
		return;
	*read_out = true;
	if (hostname.n > 0 && X509_check_host(certificate, hostname.p, hostname.n, 0, NULL) == 1)
		*ours_out = true;
	X509_free(certificate);
	ERR_clear_error();
}

/* Vault signs handshakes with these kinds (vault/client_keys.c). */
static bool is_kind_of_client(X509 *certificate)
{
	EVP_PKEY *key = X509_get0_pubkey(certificate);
	char curve[20] = "";

	if (!key || EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "ED25519"))
		return key != NULL;
	EVP_PKEY_get_group_name(key, curve, sizeof curve, NULL);
	return strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0 || strcmp(curve, "secp521r1") == 0;
}

/* Our certificate at an upstream; upstreams.c has said when one of the two keys is missing. */
static void load_client_certificate(struct loader *l, size_t i)
{
	struct cfg_upstream *u = &l->config->upstreams[i];
	struct pair p = { .chain_at = setting_near(l, "upstreams.[%zu].certificate", i),
			  .key_at = setting_near(l, "upstreams.[%zu].certificate_key", i),
			  .chain_name = "upstreams.certificate",
			  .key_name = "upstreams.certificate_key",
			  .chain = u->certificate,
			  .key = u->certificate_key,
			  .chain_pem = &u->certificate_pem,
			  .key_pem = &u->certificate_key_pem };
	X509 *certificate;

	if (u->certificate.n == 0 || u->certificate_key.n == 0)
		return;
	certificate = load_pair(l, &p);
	if (certificate && !is_kind_of_client(certificate))
		fault(l, p.key_at, "%s: expected a key of the kind RSA, EC (P-256, P-384 or P-521) or Ed25519", p.key_name);
	X509_free(certificate);
}

/* Clients know us by our name: one of the certificates has to bear it. */
static void load_certificates(struct loader *l)
{
	const struct config *c = l->config;
	bool any = false, ours = false;

	for (size_t i = 0; i < c->certificates_n; i++)
		load_certificate(l, i, &any, &ours);
	if (any && !ours && c->hostname.n > 0)
		warning(l, setting_near(l, "certificates.[0].chain"), "certificates.chain: %s the name \"%.*s\"",
			c->certificates_n > 1 ? "none of the certificates bears" : "the certificate does not bear",
			STR_ARG(c->hostname));
}

static void load_sign_key(struct loader *l, size_t i)
{
	struct cfg_sign *c = &l->config->sign[i];
	const config_setting_t *s = setting_near(l, "sign.[%zu].key", i);
	EVP_PKEY *key = read_key(l, s, "sign.key", c->key, &c->key_pem);
	int bits = key ? EVP_PKEY_get_bits(key) : 0;

	if (!key)
		return;
	if (EVP_PKEY_is_a(key, "ED25519"))
		c->algorithm = DKIM_ED25519_SHA256;
	else if (EVP_PKEY_is_a(key, "RSA"))
		c->algorithm = DKIM_RSA_SHA256;
	else
		fault(l, s, "sign.key: expected an RSA or Ed25519 key in %.*s", STR_ARG(c->key));
	/* RFC 8301 3.2: at least 1024 bits, 2048 should be used. */
	if (c->algorithm == DKIM_RSA_SHA256 && bits < 1024)
		fault(l, s, "sign.key: expected an RSA key of at least 1024 bits, not %d", bits);
	else if (c->algorithm == DKIM_RSA_SHA256 && bits < 2048)
		warning(l, s, "sign.key: an RSA key of %d bits is weak; 2048 are advised", bits);
	c->record = dkim_record_text(l->arena, key);
	EVP_PKEY_free(key);
}

static void load_ca(struct loader *l, const config_setting_t *s, const char *key, struct str path, struct str *pem_out)
{
	if (read_pem(l, s, key, path, false, pem_out) && parse_certificates(*pem_out, NULL) == 0)
		fault(l, s, "%s: expected certificates in PEM form in %.*s", key, STR_ARG(path));
}

/* Of the tickets by which queue knows again who is logged in. */
static void make_session_secret(struct loader *l)
{
	char *secret = arena_alloc(l->arena, TICKET_RANDOM_BYTES);

	if (RAND_bytes((unsigned char *)secret, TICKET_RANDOM_BYTES) == 1)
		l->config->ticket_secret = str_make(secret, TICKET_RANDOM_BYTES);
	else
		fault(l, NULL, "no random numbers for tickets of sessions: %s", ERR_reason_error_string(ERR_peek_error()));
	ERR_clear_error();
}

/* All submission processes get the same, so that a session of one can be resumed at another. */
static void make_ticket_secret(struct loader *l)
{
	uint64_t day = clock_now_ms() / DAY_MS;
	char *secret = arena_alloc(l->arena, TICKET_RANDOM_BYTES + sizeof day);

	memcpy(secret + TICKET_RANDOM_BYTES, &day, sizeof day);
	if (RAND_bytes((unsigned char *)secret, TICKET_RANDOM_BYTES) == 1)
		l->config->tls_ticket_secret = str_make(secret, TICKET_RANDOM_BYTES + sizeof day);
	else
		fault(l, NULL, "no random numbers for TLS session tickets: %s", ERR_reason_error_string(ERR_peek_error()));
	ERR_clear_error();
}

void keys_load(struct loader *l)
{
	make_ticket_secret(l);
	make_session_secret(l);
	load_certificates(l);
	for (size_t i = 0; i < l->config->sign_n; i++)
		load_sign_key(l, i);
	load_ca(l, setting_near(l, "https.ca"), "https.ca", l->config->https.ca, &l->config->https.ca_pem);
	for (size_t i = 0; i < l->config->tls_n; i++)
		load_ca(l, setting_near(l, "tls.[%zu].ca", i), "tls.ca", l->config->tls[i].demand.ca,
			&l->config->tls[i].demand.ca_pem);
	for (size_t i = 0; i < l->config->upstreams_n; i++) {
		struct cfg_upstream *u = &l->config->upstreams[i];

		load_ca(l, setting_near(l, "upstreams.[%zu].ca", i), "upstreams.ca", u->ca, &u->ca_pem);
		load_client_certificate(l, i);
	}
}
