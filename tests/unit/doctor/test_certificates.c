/* test_certificates.c - certificates of clients' connections: a good one is silent, and each fault is found. */
#include "table.h"

#include "certificate.h"
#include "posthouse/machine.h"

#include "posthouse/units.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define NOW 1772456531204 /* the table's */

/* A certificate to be made; times in hours from NOW. */
struct want {
	const char *name, *san;
	long from, until;
	unsigned rsa; /* bits; 0: elliptic */
	const char *curve;
	bool sha1, ca, staple;
};
struct made {
	X509 *x;
	EVP_PKEY *key;
};

static struct made root, middle, stranger;

static void extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *e;

	X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/* issuer NULL: it signs itself. */
static struct made make(const struct want *w, const struct made *issuer)
{
	static long serial;
	struct made m = { X509_new(), w->rsa ? EVP_RSA_gen(w->rsa) : EVP_EC_gen(w->curve ? w->curve : "P-256") };
	const struct made *by = issuer ? issuer : &m;

	X509_set_version(m.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(m.x), ++serial);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(m.x), "CN", MBSTRING_UTF8, (const unsigned char *)w->name, -1, -1, 0);
	X509_set_issuer_name(m.x, X509_get_subject_name(by->x));
	ASN1_TIME_set(X509_getm_notBefore(m.x), NOW / 1000 + w->from * 3600);
	ASN1_TIME_set(X509_getm_notAfter(m.x), NOW / 1000 + w->until * 3600);
	X509_set_pubkey(m.x, m.key);
	extension(m.x, by->x, NID_basic_constraints, w->ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (w->san)
		extension(m.x, by->x, NID_subject_alt_name, w->san);
	if (w->staple)
		extension(m.x, by->x, NID_tlsfeature, "status_request");
	assert_true(X509_sign(m.x, by->key, w->sha1 ? EVP_sha1() : EVP_sha256()) > 0);
	return m;
}

static void release(struct made *m)
{
	X509_free(m->x);
	EVP_PKEY_free(m->key);
	*m = (struct made){ 0 };
}

/* The certificates as PEM in `a`. */
static struct str pem(struct arena *a, X509 *one, X509 *two, X509 *three)
{
	X509 *all[] = { one, two, three };
	BIO *bio = BIO_new(BIO_s_mem());
	char *p;
	long n;
	struct str text;

	for (size_t i = 0; i < 3; i++)
		if (all[i])
			PEM_write_bio_X509(bio, all[i]);
	n = BIO_get_mem_data(bio, &p);
	text = arena_str(a, str_make(p, (size_t)n));
	BIO_free(bio);
	return text;
}

static void write_pair(const char *chain, const char *key, struct str certificates, EVP_PKEY *private)
{
	struct arena a = { 0 };
	FILE *f;

	fixture_write(chain, arena_cstr(&a, certificates), 0644);
	f = fopen(fixture_path(key), "w");
	assert_non_null(f);
	PEM_write_PrivateKey(f, private, NULL, NULL, 0, NULL, NULL);
	fclose(f);
	arena_fini(&a);
}

#define YEAR  (365 * 24)
#define DAY   24
#define LASTS .from = -30 * DAY, .until = 60 * DAY
#define NAME  .name = "relay.example.org", .san = "DNS:relay.example.org"
#define GOOD  NAME, LASTS
#define CONFIG                                                                                                                   \
	"hostname = \"relay.example.org\"; postmaster = \"p@example.org\"; auth = { realm = \"example.org\"; };"                 \
	"listen = ( { port = 465; tls = \"implicit\"; } );"
#define LEAF "certificates = ( { chain = \"leaf.pem\"; key = \"leaf.key\"; } );"

static int open_authorities(void **state)
{
	const struct want r = { .name = "Test Root", .from = -YEAR, .until = 10 * YEAR, .ca = true },
			  m = { .name = "Test Middle", .from = -YEAR, .until = 5 * YEAR, .ca = true },
			  s = { .name = "Private Root", .from = -YEAR, .until = 5 * YEAR, .ca = true };

	root = make(&r, NULL);
	middle = make(&m, &root);
	stranger = make(&s, NULL);
	return fixture_open(state);
}

static int close_authorities(void **state)
{
	release(&root);
	release(&middle);
	release(&stranger);
	return fixture_close(state);
}

static struct machine_facts machine;
static struct arena texts;

static struct table *run_with(const char *config, struct str served)
{
	struct table *t = table_new(config);

	machine = (struct machine_facts){ .authorities = pem(&texts, root.x, NULL, NULL) };
	table_options(t)->machine = &machine;
	table_records(t, WORLD);
	if (served.n > 0)
		table_probe(
			t, "127.0.0.1", 465,
			(struct fact_probe){ .tls = true, .greeting = S("220 relay.example.org ESMTP"), .chain_pem = served });
	table_run(t);
	return t;
}

/* A leaf by the middle, on the disk and served, with the chain as it should be. */
static void plant_leaf(const struct want *w, const char *more, const char *id, enum doctor_result result, const char *words)
{
	struct made leaf = make(w, &middle);
	struct str chain = pem(&texts, leaf.x, middle.x, NULL);
	struct table *t;

	write_pair("leaf.pem", "leaf.key", chain, leaf.key);
	t = run_with(arena_cstr(&texts, arena_printf(&texts, CONFIG LEAF "%s", more)), chain);
	if (words)
		expect(t, id, result, words);
	else
		expect_silent(t, id);
	table_free(t);
	release(&leaf);
}

static void test_good(void **state)
{
	const struct want good[] = { { GOOD },
				     { GOOD, .rsa = 2048 },
				     { GOOD, .curve = "P-384" },
				     { .name = "x", .san = "DNS:*.example.org", .from = -30 * DAY, .until = 60 * DAY },
				     { .name = "six days", .san = "DNS:RELAY.example.org", .from = -3 * DAY, .until = 3 * DAY } };

	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		plant_leaf(&good[i], "", "cert.*", DOCTOR_OK, NULL);
	plant_leaf(&good[0], "", "cert.chain", DOCTOR_OK, "*:465 the certificate leads to a known authority");
}

static void test_names(void **state)
{
	const struct want other = { .name = "relay.example.org", LASTS, .san = "DNS:mail.example.org, DNS:a.b.example.org" };
	const struct want cn = { .name = "relay.example.org", .from = -30 * DAY, .until = 60 * DAY };
	const struct want deep = { .name = "relay.example.org",
				   LASTS,
				   .san = "DNS:*.b.relay.example.org, DNS:*.org, DNS:*relay.example.org" };
	const struct certificate wild = { .names = { (struct str[]){ S("*.example.org"), S("192.0.2.1") }, 2 } };

	plant_leaf(&other, "", "cert.names", DOCTOR_FAILURE, "which has mail.example.org, a.b.example.org");
	plant_leaf(&other, "", "cert.names", DOCTOR_FAILURE, "certbot certonly -d relay.example.org");
	plant_leaf(&cn, "", "cert.names", DOCTOR_FAILURE, "only the certificate's CN");
	plant_leaf(&deep, "", "cert.names", DOCTOR_FAILURE, "is no name of the certificate");
	assert_true(certificate_bears(&wild, S("a.example.org")));
	assert_false(certificate_bears(&wild, S("a.b.example.org")));
	assert_false(certificate_bears(&wild, S("example.org")));
	assert_false(certificate_bears(&wild, S(".example.org")));
}

/* Programs are sent to the target of an SRV record; where that is another machine, its certificate is not ours. */
static void test_service_names(void **state)
{
	const struct want good = { GOOD };
	struct made leaf = make(&good, &middle);
	struct str chain = pem(&texts, leaf.x, middle.x, NULL);
	struct table *t;

	write_pair("leaf.pem", "leaf.key", chain, leaf.key);
	t = table_new(CONFIG LEAF);
	machine = (struct machine_facts){ .authorities = pem(&texts, root.x, NULL, NULL) };
	table_options(t)->machine = &machine;
	table_records(t,
		      WORLD "_submissions._tcp.example.org SRV 0 1 465 smtp.example.org\nsmtp.example.org A 203.0.113.25\n"
			    "_submission._tcp.example.org SRV 0 1 587 smtp.elsewhere.test\nsmtp.elsewhere.test A 203.0.113.99\n");
	table_run(t);
	expect(t, "cert.names", DOCTOR_FAILURE, "smtp.example.org is no name");
	expect(t, "cert.names", DOCTOR_FAILURE, "certbot certonly -d relay.example.org -d smtp.example.org\n");
	expect(t, "cert.names", DOCTOR_OK, "relay.example.org");
	table_free(t);
	release(&leaf);
}

static void test_expiry(void **state)
{
	const struct want expired = { NAME, .from = -30 * DAY, .until = -1 },
			  later = { NAME, .from = 20 * DAY, .until = 60 * DAY },
			  soon = { NAME, .from = -70 * DAY, .until = 20 * DAY + 1 },
			  week = { NAME, .until = 6 * DAY + 1, .from = -80 * DAY },
			  short_good = { NAME, .from = -4 * DAY, .until = 2 * DAY },
			  short_warn = { NAME, .from = -5 * DAY, .until = 31 },
			  short_bad = { NAME, .from = -6 * DAY, .until = 11 };

	plant_leaf(&expired, "", "cert.expiry", DOCTOR_FAILURE, "has expired on 2026-03-02");
	plant_leaf(&later, "", "cert.expiry", DOCTOR_FAILURE, "is not valid before 2026-03-22");
	plant_leaf(&soon, "", "cert.expiry", DOCTOR_WARNING, "expires on 2026-03-22, in 20 days");
	plant_leaf(&soon, "", "cert.expiry", DOCTOR_WARNING, "it is taken up by itself");
	plant_leaf(&week, "", "cert.expiry", DOCTOR_FAILURE, "in 6 days");
	plant_leaf(&short_good, "", "cert.expiry", DOCTOR_OK, NULL);
	plant_leaf(&short_warn, "", "cert.expiry", DOCTOR_WARNING, "in 30 hours");
	plant_leaf(&short_bad, "", "cert.expiry", DOCTOR_FAILURE, "in 10 hours");
}

/* The loader refuses such a key, but another program, or an older relay, can have the port. */
static void plant_served(const struct want *w, const char *words)
{
	const struct want good = { GOOD };
	struct made served = make(w, &middle), leaf = make(&good, &middle);
	struct table *t;

	write_pair("leaf.pem", "leaf.key", pem(&texts, leaf.x, middle.x, NULL), leaf.key);
	t = run_with(CONFIG LEAF, pem(&texts, served.x, middle.x, NULL));
	expect(t, "cert.keys", DOCTOR_FAILURE, words);
	table_free(t);
	release(&served);
	release(&leaf);
}

static void test_keys(void **state)
{
	const struct want weak = { GOOD, .rsa = 1024 }, old = { GOOD, .rsa = 2048, .sha1 = true },
			  odd = { GOOD, .curve = "secp256k1" }, ec = { GOOD }, rsa = { GOOD, .rsa = 2048 },
			  staple = { GOOD, .staple = true };
	static const char legacy[] = "devices = ( { networks = [ \"192.0.2.7\" ]; user = \"p\"; sender = \"p@example.org\"; "
				     "recipients = [ \"@example.org\" ]; tls = \"legacy\"; } );";

	plant_served(&weak, "the RSA key has only 1024 bits");
	plant_leaf(&old, "", "cert.keys", DOCTOR_FAILURE, "SHA-1");
	plant_served(&odd, "secp256k1");
	plant_leaf(&ec, "", "cert.keys", DOCTOR_ADVICE, "there is no RSA certificate");
	plant_leaf(&rsa, legacy, "cert.keys", DOCTOR_ADVICE, "there is an RSA certificate only");
	plant_leaf(&ec, legacy, "cert.keys", DOCTOR_WARNING, "legacy");
	plant_leaf(&ec, legacy, "cert.keys", DOCTOR_WARNING, "--key-type rsa -d relay.example.org");
	plant_leaf(&staple, "", "cert.staple", DOCTOR_FAILURE, "OCSP");
}

/* What is served counts for the chain. */
static void plant_chain(struct made *leaf, X509 *two, X509 *three, enum doctor_result result, const char *words)
{
	struct table *t;

	write_pair("leaf.pem", "leaf.key", pem(&texts, leaf->x, middle.x, NULL), leaf->key);
	t = run_with(CONFIG LEAF, pem(&texts, leaf->x, two, three));
	expect(t, "cert.chain", result, words);
	table_free(t);
}

static void test_chain(void **state)
{
	const struct want good = { GOOD };
	struct made leaf = make(&good, &middle), self = make(&good, NULL), private = make(&good, &stranger);

	plant_chain(&leaf, middle.x, NULL, DOCTOR_OK, "leads to a known authority");
	plant_chain(&leaf, middle.x, root.x, DOCTOR_OK, "leads to a known authority");
	plant_chain(&leaf, NULL, NULL, DOCTOR_FAILURE, "is not sent: CN=Test Middle");
	plant_chain(&leaf, NULL, NULL, DOCTOR_FAILURE, "fullchain.pem");
	plant_chain(&leaf, root.x, middle.x, DOCTOR_FAILURE, "wrong order: CN=Test Root is misplaced");
	plant_chain(&leaf, stranger.x, middle.x, DOCTOR_FAILURE, "wrong order: CN=Private Root");
	plant_chain(&private, NULL, NULL, DOCTOR_FAILURE, "is not sent: CN=Private Root");
	plant_chain(&private, stranger.x, NULL, DOCTOR_WARNING, "private one: CN=Private Root");
	plant_chain(&self, NULL, NULL, DOCTOR_WARNING, "self-signed");
	release(&leaf);
	release(&self);
	release(&private);
}

/* certbot has renewed the file, and the listener serves the old one. */
static void test_not_taken_up(void **state)
{
	const struct want old = { NAME, .from = -80 * DAY, .until = 10 * DAY }, new = { NAME, .from = -1, .until = 89 * DAY };
	struct made was = make(&old, &middle), is = make(&new, &middle);
	struct table *t;

	write_pair("leaf.pem", "leaf.key", pem(&texts, is.x, middle.x, NULL), is.key);
	t = run_with(CONFIG LEAF, pem(&texts, was.x, middle.x, NULL));
	expect(t, "cert.expiry", DOCTOR_FAILURE, "serves the old certificate (until 2026-03-12); the file has a newer one");
	expect(t, "cert.expiry", DOCTOR_FAILURE, "posthouse reload");
	table_free(t);
	release(&was);
	release(&is);
}

/* A name that no authority certifies. */
static void test_private_name(void **state)
{
	const struct want good = { GOOD };
	struct made self = make(&good, NULL);
	struct table *t;

	write_pair("leaf.pem", "leaf.key", pem(&texts, self.x, NULL, NULL), self.key);
	t = table_new("hostname = \"nas.lan\"; postmaster = \"me@gmail.com\"; "
		      "listen = ( { port = 465; tls = \"implicit\"; } );" BASICS_UPSTREAM LEAF);
	machine = (struct machine_facts){ .authorities = pem(&texts, root.x, NULL, NULL), .accounts = { .known = true } };
	table_options(t)->machine = &machine;
	table_run(t);
	expect(t, "cert.chain", DOCTOR_ADVICE, "self-signed");
	assert_true(str_eq(expect(t, "cert.chain", DOCTOR_ADVICE, "")->remedy.command, S("posthouse client NAME")));
	assert_int_equal(expect(t, "name.form", DOCTOR_ADVICE, "private")->remedy.config.n, 0);
	table_free(t);
	release(&self);
}

/* Only a printer connects: its certificate is installed by hand anyway. */
static void test_devices_only(void **state)
{
	const struct want good = { GOOD };
	struct made self = make(&good, NULL);
	struct table *t;

	write_pair("leaf.pem", "leaf.key", pem(&texts, self.x, NULL, NULL), self.key);
	t = table_new(CONFIG LEAF "devices = ( { networks = [ \"192.0.2.7\" ]; user = \"p\"; sender = \"p@example.org\"; "
				  "recipients = [ \"@example.org\" ]; } );");
	machine = (struct machine_facts){ .authorities = pem(&texts, root.x, NULL, NULL), .accounts = { .known = true } };
	table_options(t)->machine = &machine;
	table_run(t);
	expect(t, "cert.chain", DOCTOR_ADVICE, "self-signed");
	table_free(t);
	release(&self);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),         cmocka_unit_test(test_names),        cmocka_unit_test(test_service_names),
		cmocka_unit_test(test_expiry),       cmocka_unit_test(test_keys),         cmocka_unit_test(test_chain),
		cmocka_unit_test(test_not_taken_up), cmocka_unit_test(test_private_name), cmocka_unit_test(test_devices_only),
	};
	int failed = cmocka_run_group_tests_name("doctor_certificates", tests, open_authorities, close_authorities);

	arena_fini(&texts);
	return failed;
}
