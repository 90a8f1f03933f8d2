/* fixture.c - a temporary directory with keys and certificates made afresh. */
#include "fixture.h"
#include "remove_tree.h"

#include "schema.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];

const char *fixture_dir(void)
{
	return directory;
}

const char *fixture_path(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static FILE *create(const char *name, unsigned mode)
{
	FILE *f = fopen(fixture_path(name), "w");

	assert_non_null(f);
	assert_int_equal(chmod(fixture_path(name), mode), 0);
	return f;
}

void fixture_write(const char *name, const char *text, unsigned mode)
{
	FILE *f = create(name, mode);

	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

void fixture_make_dir(const char *name)
{
	if (access(fixture_path(name), F_OK) != 0)
		assert_int_equal(mkdir(fixture_path(name), 0700), 0);
}

static void write_key(const char *name, EVP_PKEY *key, const char *passphrase)
{
	FILE *f = create(name, 0600);

	assert_non_null(key);
	assert_int_equal(
		PEM_write_PrivateKey(f, key, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL, (void *)(uintptr_t)passphrase),
		1);
	fclose(f);
}

/* Self-signed for relay.example.org, valid from `from` to `to` seconds from now. */
static void write_certificate(const char *name, EVP_PKEY *key, long from, long to)
{
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	X509_EXTENSION *alternative = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:relay.example.org");
	FILE *f = create(name, 0644);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), from);
	X509_gmtime_adj(X509_getm_notAfter(x), to);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"relay.example.org", -1, -1, 0);
	X509_set_issuer_name(x, subject);
	X509_set_pubkey(x, key);
	X509_add_ext(x, alternative, -1);
	assert_true(X509_sign(x, key, EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, x), 1);
	fclose(f);
	X509_EXTENSION_free(alternative);
	X509_free(x);
}

static void write_rsa(const char *name, unsigned bits)
{
	EVP_PKEY *key = EVP_RSA_gen(bits);

	write_key(name, key, NULL);
	EVP_PKEY_free(key);
}

int fixture_open(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256"), *ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
		 *ed448 = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");

	strcpy(directory, "/tmp/posthouse-config-XXXXXX");
	if (!mkdtemp(directory))
		return -1;
	write_key("key.pem", key, NULL);
	write_key("other.key", other, NULL);
	write_key("ed25519.key", ed25519, NULL);
	write_key("locked.key", other, "passphrase");
	write_rsa("rsa.key", 2048);
	write_rsa("weak.key", 1024);
	write_rsa("tiny.key", 512);
	write_certificate("chain.pem", key, -3600, 90L * 86400);
	write_key("ed448.key", ed448, NULL);
	write_certificate("ed448.pem", ed448, -3600, 90L * 86400);
	write_certificate("client.pem", other, -3600, 90L * 86400);
	write_certificate("old.pem", key, -7200, -3600);
	write_certificate("soon.pem", key, -7200, 3L * 86400 + 60);
	write_certificate("ca.pem", other, -3600, 90L * 86400);
	fixture_write("password", "s3cret-of-the-upstream\n", 0600);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
	EVP_PKEY_free(ed25519);
	EVP_PKEY_free(ed448);
	return 0;
}

int fixture_close(void **state)
{
	return remove_tree(directory);
}

struct config *fixture_load(const char *text, struct config_faults *faults_out)
{
	fixture_write("posthouse.conf", text, 0600);
	return config_load(fixture_path("posthouse.conf"), faults_out);
}

const char *fixture_faults(const struct config_faults *faults)
{
	static char text[65536];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < faults->n && n < sizeof(text) - 1; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%u: %s%.*s\n", faults->at[i].line,
				      faults->at[i].warning ? "warning: " : "", STR_ARG(faults->at[i].text));
	return text;
}

struct config *fixture_good(const char *text)
{
	struct config_faults faults;
	struct config *c = fixture_load(text, &faults);

	for (size_t i = 0; i < faults.n; i++)
		if (!faults.at[i].warning)
			fail_msg("%s", fixture_faults(&faults));
	return c;
}

char *fixture_slurp(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) < (1 << 20) - 1);
	fclose(f);
	return text;
}

/* Is the path that of a row? Of a secret, also as KEY_file. */
static const struct key *row_at(struct str path)
{
	size_t i = schema_find(path);

	if (i == config_keys_n && str_ends(path, S("_file")))
		i = schema_find(str_head(path, path.n - 5));
	return i < config_keys_n ? &config_keys[i] : NULL;
}

void fixture_check_members(const config_setting_t *value, struct str path)
{
	int n = config_setting_is_aggregate(value) ? config_setting_length(value) : 0;

	for (int i = 0; i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(value, (unsigned)i);
		char text[256];
		const struct key *k;

		if (!config_setting_name(s)) {
			snprintf(text, sizeof(text), "%.*s[]", STR_ARG(path));
			fixture_check_members(s, str_of(text));
			continue;
		}
		snprintf(text, sizeof(text), "%.*s%s%s", STR_ARG(path), path.n > 0 ? "." : "", config_setting_name(s));
		k = row_at(str_of(text));
		if (!k || k->flags & FILLED)
			fail_msg("%s: there is no such key", text);
		if (k->type == CFG_GROUP || k->type == CFG_LIST)
			fixture_check_members(s, str_of(text));
	}
}
