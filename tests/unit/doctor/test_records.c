/* test_records.c - the checks of the other records of a domain: MX, MTA-STS, TLS-RPT, TLSA, DNSSEC, CAA, BIMI, SRV. */
#include "table.h"

#include "posthouse/records.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define ZONE   "!example.org SOA 1\nexample.org NS ns.example.org\nexample.org TXT v=spf1 -all\n"
#define REALM  "auth = { realm = \"example.org\"; }; "
#define LISTEN "listen = ( { port = 465; tls = \"implicit\"; }, { port = 587; tls = \"starttls\"; } ); "

static void mx(void **state)
{
	plant(DIRECT, "", "mx.exists", DOCTOR_OK, "has 1 MX record");
	plant(DIRECT, ZONE, "mx.exists", DOCTOR_FAILURE, "has no MX record and no address");
	plant(DIRECT, ZONE "example.org A 203.0.113.90", "mx.exists", DOCTOR_ADVICE, "replies go to its web address");
	plant(DIRECT, "!example.org SERVFAIL", "mx.exists", DOCTOR_UNKNOWN, "server failure");
	plant(DIRECT, ZONE "example.org MX 0 .", "mx.null", DOCTOR_FAILURE, "so it takes no mail");
	plant(DIRECT, ZONE "example.org MX 0 .\nexample.org MX 10 mx.mailbox.test", "mx.null", DOCTOR_FAILURE, "beside other MX");
	plant(DIRECT, "", "mx.null", DOCTOR_OK, "");
	plant(DIRECT, "", "mx.hosts", DOCTOR_OK, "");
	plant(DIRECT, ZONE "example.org MX 10 none.test", "mx.hosts", DOCTOR_FAILURE, "none.test has no address");
	plant(DIRECT, ZONE "example.org MX 10 none.test\nexample.org MX 20 mx.mailbox.test", "mx.hosts", DOCTOR_WARNING,
	      "no address");
	plant(DIRECT, ZONE "example.org MX 10 c.test\nc.test CNAME mx.mailbox.test", "mx.hosts", DOCTOR_FAILURE,
	      "is a CNAME (to mx.mailbox.test)");
	plant(DIRECT, ZONE "example.org MX 10 192.0.2.1", "mx.hosts", DOCTOR_FAILURE, "is an address");
	plant(DIRECT, ZONE "example.org MX 10 p.test\np.test A 192.168.1.1", "mx.hosts", DOCTOR_FAILURE,
	      "has the address 192.168.1.1");
	plant(DIRECT, ZONE "example.org MX 10 p.test\np.test A 127.0.0.1", "mx.hosts", DOCTOR_FAILURE,
	      "has the address 127.0.0.1");
	plant(DIRECT, ZONE "example.org MX 10 mx.mailbox.test\nexample.org MX 20 mx.mailbox.test", "mx.hosts", DOCTOR_ADVICE,
	      "twice");
	plant(DIRECT, ZONE "example.org MX 10 mx.mailbox.test\nexample.org MX 20 b.test\nb.test A 203.0.113.80", "mx.hosts",
	      DOCTOR_ADVICE, "203.0.113.80 twice");
}

static void own_mx(void **state)
{
	struct table *t = table_new(DIRECT);

	plant(DIRECT, "", "mx.self", DOCTOR_OK, "elsewhere");
	plant(DIRECT, ZONE "example.org MX 10 relay.example.org", "mx.self", DOCTOR_FAILURE,
	      "nothing takes mail at 203.0.113.25");
	table_only(t, "mx.*");
	table_world(t, ZONE "example.org MX 10 relay.example.org");
	table_probe(t, "203.0.113.25", 25, (struct fact_probe){ .greeting = S("220 relay.example.org ESMTP") });
	table_run(t);
	expect(t, "mx.self", DOCTOR_OK, "another program takes mail");
	expect_silent(t, "mx.*");
	table_free(t);
}

static void call(const char *first, const char *second, enum doctor_result result, const char *words)
{
	struct table *t = table_new(DIRECT "senders = ( { user = \"a\"; addresses = [ \"alice@example.org\" ]; } ); ");
	struct str replies[] = { str_of(first), str_of(second), S("250 ok"), S("250 ok") };

	table_only(t, "return.*");
	table_options(t)->deep = true;
	table_world(t, "");
	table_probe(t, "203.0.113.80", 25, (struct fact_probe){ .greeting = S("220 mx"), .replies = replies, .replies_n = 4 });
	table_run(t);
	expect(t, "return.callout", result, words);
	table_free(t);
}

static void callout(void **state)
{
	call("250 ok", "250 ok", DOCTOR_OK, "alice@example.org is taken");
	call("250 ok", "550 5.1.1 no such user", DOCTOR_FAILURE,
	     "alice@example.org is refused by its own mail server: 550 5.1.1");
	call("250 ok", "451 later", DOCTOR_UNKNOWN, "451 later");
	call("550 no", "503 no", DOCTOR_WARNING, "refuses mail without a sender");
}

static void notices(void **state)
{
	static const char nomx[] = "hostname = \"relay.example.org\"; postmaster = \"p@nomx.test\"; " CERT DIRECT;

	plant(DIRECT, "", "notice.address", DOCTOR_OK, "p@example.org can get mail");
	plant(nomx, "nomx.test TXT x", "notice.address", DOCTOR_FAILURE, "(postmaster) gets no mail: nomx.test");
}

#define STS "_mta-sts.example.org TXT v=STSv1; id=20270302\nmta-sts.example.org A 203.0.113.81"

/* What the running relay says of the policy. */
static void policies(void)
{
	static struct str ours[] = { { "mx.mailbox.test", 15 } }, other[] = { { "*.other.test", 12 } };
	static const struct {
		struct fact_policy policy;
		enum doctor_result result;
		const char *text;
	} rows[] = {
		{ { FACT_THERE, .mode = STS_ENFORCE, .mx = { ours, 1 } }, DOCTOR_OK, "lists its mail servers" },
		{ { FACT_THERE, .mode = STS_ENFORCE, .mx = { other, 1 } }, DOCTOR_FAILURE, "mail server mx.mailbox.test" },
		{ { FACT_THERE, .mode = STS_TESTING, .mx = { ours, 1 } }, DOCTOR_WARNING, "mode testing" },
		{ { FACT_THERE, .mode = STS_TESTING, .mx = { other, 1 } }, DOCTOR_WARNING, "mail server mx.mailbox.test" },
		{ { FACT_THERE, .mode = STS_NONE }, DOCTOR_OK, "demands nothing" },
		{ { FACT_EMPTY, .why = { "no version", 10 } }, DOCTOR_WARNING, "cannot use: no version" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		table_policy = &rows[i].policy;
		plant(DIRECT, STS, "mtasts.record", rows[i].result, rows[i].text);
	}
	table_policy = NULL;
}

static void small(void **state)
{
	plant(DIRECT, "", "mtasts.record", DOCTOR_ADVICE, "For who runs your mailboxes");
	plant(DIRECT, STS, "mtasts.record", DOCTOR_UNKNOWN, "is not fetched: no relay runs");
	policies();
	plant(DIRECT, "_mta-sts.example.org TXT v=STSv1; id=20270302", "mtasts.record", DOCTOR_WARNING, "has no address");
	plant(DIRECT, "_mta-sts.example.org TXT v=STSv1\nmta-sts.example.org A 203.0.113.81", "mtasts.record", DOCTOR_WARNING,
	      "no id=");
	plant(DIRECT, "", "tlsrpt.record", DOCTOR_OK, "");
	plant(DIRECT, "_mta-sts.example.org TXT v=STSv1; id=1", "tlsrpt.record", DOCTOR_ADVICE, "not for reports");
	plant(DIRECT, "_25._tcp.mx.mailbox.test TLSA 3 1 1 00", "tlsrpt.record", DOCTOR_ADVICE, "not for reports");
	plant(DIRECT, "_smtp._tls.example.org TXT v=TLSRPTv1; rua=mailto:a@example.org", "tlsrpt.record", DOCTOR_OK,
	      "gets reports");
	plant(DIRECT, "_smtp._tls.example.org TXT rua=mailto:a@example.org", "tlsrpt.record", DOCTOR_WARNING,
	      "has no v=TLSRPTv1");
	plant(DIRECT, "_smtp._tls.example.org TXT v=TLSRPTv1; rua=a@example.org", "tlsrpt.record", DOCTOR_WARNING,
	      "neither mailto:");
	plant(DIRECT, "default._bimi.example.org TXT v=BIMI1; l=https://example.org/l.svg;", "bimi.record", DOCTOR_ADVICE,
	      "policy is none");
	plant(DIRECT, "default._bimi.example.org TXT v=BIMI1; l=http://example.org/l.svg;", "bimi.record", DOCTOR_ADVICE,
	      "https");
	plant(DIRECT,
	      "!_dmarc.example.org TXT v=DMARC1; p=reject\ndefault._bimi.example.org TXT v=BIMI1; l=https://example.org/l.svg;",
	      "bimi.record", DOCTOR_OK, "");
}

static void dnssec(void **state)
{
	plant(DIRECT, "", "dnssec.domain", DOCTOR_ADVICE, "is not signed");
	plant(DIRECT, "example.org SECURE", "dnssec.domain", DOCTOR_OK, "is signed");
	plant(DIRECT, "!example.org BOGUS", "dnssec.domain", DOCTOR_FAILURE, "do not hold");
	plant(DIRECT, "org SOA 1\norg SECURE", "dnssec.resolver", DOCTOR_OK, "");
}

static void stripped(void **state)
{
	struct table *t = table_new(DIRECT);

	table_only(t, "dnssec.*");
	table_world(t, "org SOA 1\norg SECURE");
	table_view(t, VIEW_MAIL, "org SOA 1");
	table_run(t);
	expect(t, "dnssec.resolver", DOCTOR_ADVICE, "resolver = \"recursive\"");
	table_free(t);
}

/* The root's key is there, but the resolver strips what it signs. */
static void stripped_and_validated(void **state)
{
	struct table *t = table_new(DIRECT);

	table_only(t, "dnssec.*");
	table_world(t, "org SOA 1\norg SECURE");
	table_view(t, VIEW_MAIL, "org BOGUS");
	table_run(t);
	expect(t, "dnssec.resolver", DOCTOR_ADVICE, "resolver = \"recursive\"");
	table_free(t);
}

/* A company's name server has a zone of its own for a domain that is signed in the world. */
static void inner_zone(void **state)
{
	struct table *t = table_new(DIRECT);

	table_only(t, "dnssec.*");
	table_world(t, "org SOA 1\norg SECURE\nexample.org SECURE");
	table_view(t, VIEW_MAIL, "example.org BOGUS");
	table_run(t);
	expect(t, "dnssec.resolver", DOCTOR_WARNING, "unsigned_zones = [ \"example.org\" ]");
	table_free(t);
}

#define SIGNED_TLSA "_25._tcp.mx.mailbox.test SECURE\n_25._tcp.mx.mailbox.test TLSA "

/* The chain of the fixture as a server shows it, and the record that fits it. */
static void dane(void **state)
{
	char *pem = fixture_slurp(fixture_path("chain.pem"));
	BIO *bio = BIO_new_mem_buf(pem, -1);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	char good[200] = SIGNED_TLSA "3 0 1 ";

	assert_int_equal(X509_digest(x, EVP_sha256(), digest, &n), 1);
	for (unsigned i = 0; i < n; i++)
		snprintf(good + strlen(good), sizeof(good) - strlen(good), "%02x", digest[i]);
	const struct {
		const char *records;
		enum doctor_result result;
		const char *text;
	} rows[] = {
		{ good, DOCTOR_OK, "fits its TLSA" },
		{ SIGNED_TLSA "3 1 1 0011", DOCTOR_FAILURE, "fits none of its TLSA" },
		{ SIGNED_TLSA "1 1 1 0011", DOCTOR_WARNING, "of which mail can use none" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct table *t = table_new(DIRECT);

		table_only(t, "dane.*");
		table_options(t)->deep = true;
		table_world(t, rows[i].records);
		table_probe(t, "203.0.113.80", 25, (struct fact_probe){ .tls = true, .chain_pem = str_of(pem) });
		table_run(t);
		expect(t, "dane.mx", rows[i].result, rows[i].text);
		table_free(t);
	}
	X509_free(x);
	BIO_free(bio);
	free(pem);
}

/* chain.pem with another issuer, as if Let's Encrypt had signed it. */
static void issue_by_lets_encrypt(void)
{
	FILE *f = fopen(fixture_path("key.pem"), "r");
	EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x), *issuer = X509_NAME_new();
	X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:relay.example.org");

	fclose(f);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
	X509_gmtime_adj(X509_getm_notBefore(x), -100);
	X509_gmtime_adj(X509_getm_notAfter(x), 8640000);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)"relay.example.org", -1, -1, 0);
	X509_NAME_add_entry_by_txt(issuer, "O", MBSTRING_ASC, (const unsigned char *)"Let's Encrypt", -1, -1, 0);
	X509_set_issuer_name(x, issuer);
	X509_set_pubkey(x, key);
	X509_add_ext(x, names, -1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	f = fopen(fixture_path("le.pem"), "w");
	PEM_write_X509(f, x);
	fclose(f);
	X509_EXTENSION_free(names);
	X509_NAME_free(issuer);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void caa(void **state)
{
	static const char le[] = "hostname = \"relay.example.org\"; postmaster = \"p@example.org\"; "
				 "certificates = ( { chain = \"le.pem\"; key = \"key.pem\"; } ); " DIRECT;

	issue_by_lets_encrypt();
	plant(DIRECT, "example.org CAA 0 issue \"other.test\"", "caa.issuer", DOCTOR_SKIPPED, "no public authority");
	plant(le, "", "caa.issuer", DOCTOR_OK, "");
	plant(le, "example.org CAA 0 issue \"letsencrypt.org\"", "caa.issuer", DOCTOR_OK, "");
	plant(le, "example.org CAA 0 issue \"letsencrypt.org; validationmethods=dns-01\"", "caa.issuer", DOCTOR_OK, "");
	plant(le, "example.org CAA 0 iodef \"mailto:a@example.org\"", "caa.issuer", DOCTOR_OK, "");
	plant(le, "example.org CAA 0 issue \"other.test\"", "caa.issuer", DOCTOR_WARNING, "allows other.test, not Let's Encrypt");
	plant(le, "relay.example.org CAA 0 issue \";\"\nexample.org CAA 0 issue \"letsencrypt.org\"", "caa.issuer",
	      DOCTOR_WARNING, "allows nobody");
}

static void services(void **state)
{
	plant(DIRECT LISTEN, "", "srv.submission", DOCTOR_ADVICE, "programs cannot find");
	plant(DIRECT LISTEN,
	      "_submissions._tcp.example.org SRV 0 1 465 relay.example.org\n_submission._tcp.example.org SRV 10 1 587 relay.example.org",
	      "srv.submission", DOCTOR_OK, "_submission._tcp leads to");
	plant(DIRECT LISTEN, "_submission._tcp.example.org SRV 10 1 25 relay.example.org", "srv.submission", DOCTOR_WARNING,
	      "leads to port 25, but this relay listens at 587");
	plant(DIRECT LISTEN, "_submission._tcp.example.org SRV 10 1 465 relay.example.org", "srv.submission", DOCTOR_WARNING,
	      "port 465");
	plant(DIRECT LISTEN,
	      "_submission._tcp.example.org SRV 10 1 587 smtp.example.org\nsmtp.example.org CNAME relay.example.org",
	      "srv.submission", DOCTOR_WARNING, "which is a CNAME");
	plant(DIRECT LISTEN, "_submission._tcp.example.org SRV 0 0 0 .", "srv.submission", DOCTOR_OK, "");
}

/* No false alarm where all is well. */
static void good(void **state)
{
	static const char *const groups[] = { "mx.*",     "notice.*", "mtasts.*", "tlsrpt.*", "dane.*",
					      "dnssec.*", "caa.*",    "bimi.*",   "srv.*" };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		struct table *t = table_new(DIRECT);

		table_only(t, groups[i]);
		table_options(t)->deep = true;
		table_world(t, "org SOA 1\norg SECURE");
		table_run(t);
		expect_silent(t, groups[i]);
		table_free(t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mx),         cmocka_unit_test(own_mx),
		cmocka_unit_test(callout),    cmocka_unit_test(notices),
		cmocka_unit_test(small),      cmocka_unit_test(dnssec),
		cmocka_unit_test(stripped),   cmocka_unit_test(stripped_and_validated),
		cmocka_unit_test(inner_zone), cmocka_unit_test(dane),
		cmocka_unit_test(caa),        cmocka_unit_test(services),
		cmocka_unit_test(good),
	};

	return cmocka_run_group_tests_name("doctor_records", tests, fixture_open, fixture_close);
}
