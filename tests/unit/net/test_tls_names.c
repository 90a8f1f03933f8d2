/* test_tls_names.c - several certificates: which name gets which, which key, and what a session can be resumed under. */
#include "peer.h"

#include "posthouse/clock.h"

#include <string.h>

#define CERTIFICATES 6

static struct tls_certificate made[CERTIFICATES]; /* the same for every server of a test */
static bool are_made;

static int setup(void **state)
{
	are_made = false;
	return fixture_setup(state);
}

/* A server of several certificates. */
static struct tls_context *make_server(struct fixture *f, struct str ticket_secret)
{
	static const struct certificate_recipe recipes[CERTIFICATES] = {
		{ "first", "DNS:relay.example.org,DNS:mail.example.org", EVP_PKEY_EC, NULL },
		{ "wild", "DNS:*.wild.example", EVP_PKEY_EC, NULL },
		{ "rsa", "DNS:MAIL.example.org,DNS:relay.example.org", EVP_PKEY_RSA, NULL }, /* joins the first */
		{ "inside.wild.example", NULL, EVP_PKEY_EC, NULL },                          /* later than the wildcard */
		{ "by-common-name.example", NULL, EVP_PKEY_EC, NULL },
		{ "ignored.example", "DNS:alternative.example", EVP_PKEY_EC, NULL },
	};
	struct tls_server_options options = {
		.certificates = made, .n = CERTIFICATES, .minimum = TLS_1_2, .ticket_secret = ticket_secret
	};
	struct tls_context *t;
	struct verdict why;

	for (size_t i = 0; i < CERTIFICATES && !are_made; i++)
		made[i] = make_certificate_as(&f->arena, &recipes[i]);
	are_made = true;
	t = tls_server_context(&options, &f->arena, &why);
	if (!t)
		fail_msg("%.*s", STR_ARG(why.text));
	return t;
}

static void test_names(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *name, *certificate;
	} cases[] = {
		{ NULL, "first" },
		{ "relay.example.org", "first" },
		{ "mail.example.org", "first" },
		{ "Mail.Example.ORG", "first" },
		{ "mail.example.org.", "first" },
		{ "unknown.example", "first" },
		{ "a.wild.example", "wild" },
		{ "A.WILD.example", "wild" },
		{ "inside.wild.example", "wild" },
		{ "a.b.wild.example", "first" }, /* "*" is one label */
		{ "wild.example", "first" },
		{ ".wild.example", "first" },
		{ "*.wild.example", "wild" },
		{ "by-common-name.example", "by-common-name.example" },
		{ "alternative.example", "ignored.example" },
		{ "ignored.example", "first" }, /* a common name beside other names is none */
		{ "127.0.0.1", "first" },
	};
	struct tls_context *t = make_server(f, S(""));
	struct peer p;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			struct peer_wants wants = { .version = version, .name = cases[i].name };

			assert_true(peer_connect(&p, f, t, &wants));
			if (!str_eq(peer_certificate(&p), str_of(cases[i].certificate)))
				fail_msg("case %zu: %.*s", i, STR_ARG(peer_certificate(&p)));
			peer_free(&p);
		}
	tls_context_unref(t);
}

/* A client that cannot verify ECDSA gets the certificate with the RSA key. */
static void test_two_keys(void **state)
{
	struct fixture *f = *state;
	static const struct peer_wants cases[] = {
		{ .version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256" },
		{ .version = TLS1_3_VERSION, .signatures = "RSA-PSS+SHA256" },
		{ .version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256", .name = "mail.example.org" },
		{ .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256", .name = "mail.example.org" },
		{ .version = TLS1_3_VERSION, .signatures = "ECDSA+SHA256" },
	};
	struct tls_context *t = make_server(f, S(""));
	struct peer p;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_true(peer_connect(&p, f, t, &cases[i]));
		assert_true(str_eq(peer_certificate(&p), i < 3 ? S("rsa") : S("first")));
		peer_free(&p);
	}
	assert_false(peer_connect(&p, f, t,
				  &(struct peer_wants){ .version = TLS1_2_VERSION,
							.ciphers = "ECDHE-RSA-AES128-GCM-SHA256",
							.name = "a.wild.example" }));
	peer_free(&p);
	tls_context_unref(t);
}

/* ---- certificates that share some of their names ---- */

static struct tls_context *make_server_of(struct fixture *f, const struct certificate_recipe *recipes, size_t n)
{
	struct tls_certificate *list = ARENA_ARRAY(&f->arena, struct tls_certificate, n);
	struct tls_server_options options = { .certificates = list, .n = n, .minimum = TLS_1_2 };
	struct verdict why;
	struct tls_context *t;

	for (size_t i = 0; i < n; i++)
		list[i] = make_certificate_as(&f->arena, &recipes[i]);
	t = tls_server_context(&options, &f->arena, &why);
	if (!t)
		fail_msg("%.*s", STR_ARG(why.text));
	return t;
}

/* What a client gets that can do one kind of key alone; NULL: no handshake. */
static void expect_certificate(struct fixture *f, struct tls_context *t, const char *name, const char *signatures,
			       const char *certificate)
{
	struct peer_wants wants = { .version = TLS1_3_VERSION, .name = name, .signatures = signatures };
	struct peer p;
	bool done = peer_connect(&p, f, t, &wants);

	if (done != (certificate != NULL) || (done && !str_eq(peer_certificate(&p), str_of(certificate))))
		fail_msg("%s by %s: %.*s", name ? name : "no name", signatures, done ? (int)peer_certificate(&p).n : 7,
			 done ? peer_certificate(&p).p : "nothing");
	peer_free(&p);
}

/* RSA and ECDSA certificates of one name are both used, whatever other names each of them has. */
static void test_two_keys_of_one_name(void **state)
{
	struct fixture *f = *state;
	static const struct certificate_recipe recipes[] = {
		{ "ec", "DNS:a.example,DNS:b.example", EVP_PKEY_EC, NULL },
		{ "rsa", "DNS:b.example,DNS:c.example", EVP_PKEY_RSA, NULL },
		{ "wild-rsa", "DNS:*.d.example", EVP_PKEY_RSA, NULL },
		{ "one-ec", "DNS:one.d.example", EVP_PKEY_EC, NULL },
		{ "late", "DNS:a.example,DNS:b.example", EVP_PKEY_EC, NULL },
		{ "ed", "DNS:a.example", EVP_PKEY_ED25519, NULL },
		{ "half-late", "DNS:b.example,DNS:e.example", EVP_PKEY_RSA, NULL },
	};
	static const struct {
		const char *name, *signatures, *certificate;
	} cases[] = {
		{ "a.example", "ECDSA+SHA256", "ec" },
		{ "a.example", "RSA-PSS+SHA256", NULL },
		{ "a.example", "ed25519", "ed" },
		{ "b.example", "ECDSA+SHA256", "ec" },
		{ "b.example", "RSA-PSS+SHA256", "rsa" },
		{ "b.example", "ed25519", NULL },
		{ "c.example", "RSA-PSS+SHA256", "rsa" },
		{ "c.example", "ECDSA+SHA256", NULL },
		{ "one.d.example", "RSA-PSS+SHA256", "wild-rsa" },
		{ "one.d.example", "ECDSA+SHA256", "one-ec" },
		{ "two.d.example", "RSA-PSS+SHA256", "wild-rsa" },
		{ "two.d.example", "ECDSA+SHA256", NULL },
		{ "e.example", "RSA-PSS+SHA256", "half-late" },
		{ NULL, "ECDSA+SHA256",
		  "ec" }, /* what nobody named must fit whatever the client looks for: the first one's names */
		{ NULL, "RSA-PSS+SHA256", NULL },
		{ "unknown.example", "ECDSA+SHA256", "ec" },
	};
	struct tls_context *t = make_server_of(f, recipes, sizeof recipes / sizeof *recipes);

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_certificate(f, t, cases[i].name, cases[i].signatures, cases[i].certificate);
	for (size_t i = 0; i < sizeof recipes / sizeof *recipes; i++)
		assert_int_equal(tls_server_uses(t, i), i != 4);
	tls_context_unref(t);
}

/* ---- protocols by name (ALPN) ---- */

static void test_protocols(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *offer, *got; /* each protocol behind its length; got NULL: refused */
	} cases[] = {
		{ NULL, "" },
		{ "\x04smtp", "smtp" },
		{ "\x08http/1.1\x04smtp", "smtp" },
		{ "\x05"
		  "esmtp",
		  "esmtp" },
		{ "\x0bsubmissions", "submissions" },
		{ "\x08http/1.1", NULL },
		{ "\x02h2\x08http/1.1", NULL },
		{ "\x03"
		  "ftp",
		  NULL },
		{ "\x04imap", NULL },
		{ "\x05smtpx", NULL },
	};
	struct tls_context *t = make_server(f, S(""));

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
			struct peer_wants wants = { .version = version, .protocols = cases[i].offer };
			const unsigned char *got;
			unsigned n = 0;
			struct peer p;

			if (peer_connect(&p, f, t, &wants) != (cases[i].got != NULL))
				fail_msg("case %zu", i);
			SSL_get0_alpn_selected(p.ssl, &got, &n);
			assert_true(str_eq(str_make(got, n), str_of(cases[i].got ? cases[i].got : "")));
			peer_free(&p);
		}
	tls_context_unref(t);
}

/* ---- resumption ---- */

/* A session with `server`, resumed with `other` under `name`: was it? */
static bool resumes(struct fixture *f, struct tls_context *server, struct tls_context *other, int version, const char *first_name,
		    const char *name)
{
	struct peer p, again;
	bool resumed;

	assert_true(peer_connect(&p, f, server, &(struct peer_wants){ .version = version, .name = first_name }));
	assert_false(SSL_session_reused(p.ssl));
	assert_non_null(p.session);
	fixture_disconnect(f);
	assert_true(
		peer_connect(&again, f, other, &(struct peer_wants){ .version = version, .name = name, .session = p.session }));
	resumed = SSL_session_reused(again.ssl);
	peer_free(&again);
	SSL_free(p.ssl);
	SSL_CTX_free(p.ctx);
	SSL_SESSION_free(p.session);
	return resumed;
}

static void test_resumption(void **state)
{
	struct fixture *f = *state;
	char key[TLS_TICKET_SECRET], other_key[TLS_TICKET_SECRET];
	struct tls_context *one, *two, *other, *lonely;
	struct tls_certificate c;
	struct tls_server_options options = {
		.certificates = &c, .n = 1, .minimum = TLS_1_2, .ticket_secret = str_make(key, 40)
	};
	struct verdict why;
	struct tls_context *stranger, *legacy;

	assert_true(tls_ticket_secret_new(key, clock_now_ms()) && tls_ticket_secret_new(other_key, clock_now_ms()));
	one = make_server(f, str_make(key, 40));
	two = make_server(f, str_make(key, 40));
	other = make_server(f, str_make(other_key, 40));
	lonely = make_server(f, S(""));
	make_certificate(&f->arena, "relay.example.org", &c.chain_pem, &c.key_pem);
	stranger = tls_server_context(&options, &f->arena, &why);
	options.legacy = true;
	legacy = tls_server_context(&options, &f->arena, &why);
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		assert_true(resumes(f, one, one, version, NULL, NULL));
		assert_true(resumes(f, one, two, version, NULL, NULL));
		assert_true(resumes(f, one, two, version, "a.wild.example", "a.wild.example"));
		assert_true(resumes(f, lonely, lonely, version, "a.wild.example", "a.wild.example"));
		assert_false(resumes(f, one, other, version, NULL, NULL)); /* another key */
		assert_false(resumes(f, one, lonely, version, NULL, NULL));
		assert_false(resumes(f, one, two, version, "a.wild.example", "alternative.example")); /* other certificates */
		assert_false(resumes(f, one, two, version, "a.wild.example", NULL));
		assert_false(resumes(f, one, stranger, version, NULL, NULL));
		assert_false(resumes(f, stranger, one, version, "relay.example.org", "relay.example.org"));
		assert_false(resumes(f, legacy, stranger, version, NULL, NULL)); /* other rules */
	}
	tls_context_unref(one);
	tls_context_unref(two);
	tls_context_unref(other);
	tls_context_unref(lonely);
	tls_context_unref(stranger);
	tls_context_unref(legacy);
}

/* ---- ticket keys ---- */

#define DAY 86400000u
static uint64_t time_ms;

static uint64_t test_now(void)
{
	return time_ms;
}

static struct tls_context *make_server_at(struct fixture *f, const char secret[TLS_TICKET_SECRET], bool legacy)
{
	struct tls_server_options options = { .certificates = made,
					      .n = 1,
					      .minimum = TLS_1_2,
					      .legacy = legacy,
					      .ticket_secret = str_make(secret, TLS_TICKET_SECRET),
					      .now_ms = test_now };
	struct verdict why;
	struct tls_context *t = tls_server_context(&options, &f->arena, &why);

	assert_non_null(t);
	return t;
}

/* Is a session of `day` resumed `later` days after it, by a process of the same secret that began at the end? */
static bool resumes_after(struct fixture *f, unsigned later, int version, bool same_process)
{
	char secret[TLS_TICKET_SECRET], aged[TLS_TICKET_SECRET];
	struct tls_context *one, *two;
	struct peer p, again;
	bool resumed;

	time_ms = 20000ull * DAY + 1000;
	assert_true(tls_ticket_secret_new(secret, time_ms));
	one = make_server_at(f, secret, false);
	assert_true(peer_connect(&p, f, one, &(struct peer_wants){ .version = version }));
	assert_non_null(p.session);
	fixture_disconnect(f);
	time_ms += (uint64_t)later * DAY;
	memcpy(aged, secret, sizeof aged);
	tls_ticket_secret_age(aged, time_ms);
	assert_int_equal(memcmp(aged, secret, sizeof aged) == 0, later == 0);
	two = same_process ? tls_context_ref(one) : make_server_at(f, secret, false);
	assert_true(peer_connect(&again, f, two, &(struct peer_wants){ .version = version, .session = p.session }));
	resumed = SSL_session_reused(again.ssl);
	peer_free(&again);
	SSL_free(p.ssl);
	SSL_CTX_free(p.ctx);
	SSL_SESSION_free(p.session);
	tls_context_unref(one);
	tls_context_unref(two);
	return resumed;
}

/* A ticket holds on the day after, not longer, and processes need no word between them. */
static void test_ticket_keys_change_daily(void **state)
{
	struct fixture *f = *state;

	tls_context_unref(make_server(f, S("")));
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
		for (int same = 0; same < 2; same++) {
			assert_true(resumes_after(f, 0, version, same));
			assert_true(resumes_after(f, 1, version, same));
			assert_false(resumes_after(f, 2, version, same));
			assert_false(resumes_after(f, 400, version, same));
		}
}

/* Tomorrow's secret, as a process that starts then gets it, opens no ticket of the day before yesterday; a clock that goes back keeps its key. */
static void test_ticket_secrets(void **state)
{
	char secret[TLS_TICKET_SECRET], later[TLS_TICKET_SECRET], twice[TLS_TICKET_SECRET];

	assert_true(tls_ticket_secret_new(secret, 100 * (uint64_t)DAY));
	memcpy(later, secret, sizeof secret);
	tls_ticket_secret_age(later, 99 * (uint64_t)DAY);
	assert_memory_equal(later, secret, sizeof secret);
	tls_ticket_secret_age(later, 103 * (uint64_t)DAY);
	memcpy(twice, secret, sizeof secret);
	for (unsigned day = 101; day <= 103; day++)
		tls_ticket_secret_age(twice, day * (uint64_t)DAY);
	assert_memory_equal(later, twice, sizeof later); /* at once or step by step */
	assert_memory_not_equal(later, secret, 32);
}

/* ---- channel binding ---- */

/* Both sides' view of it; false: there is none. */
static bool same_binding(struct peer *p, enum tls_binding kind, const char *mine, size_t n)
{
	char theirs[64];
	size_t theirs_n;

	if (!stream_tls_binding(p->f->server.st, kind, theirs, &theirs_n)) {
		assert_int_equal(theirs_n, 0);
		return false;
	}
	assert_int_equal(theirs_n, n);
	assert_memory_equal(theirs, mine, n);
	return true;
}

static void test_exporter(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f, S(""));
	struct peer p;
	unsigned char mine[32];
	char none[64];
	size_t n;

	assert_true(peer_connect(&p, f, t, &(struct peer_wants){ .version = TLS1_3_VERSION }));
	assert_int_equal(SSL_export_keying_material(p.ssl, mine, 32, "EXPORTER-Channel-Binding", 24, NULL, 0, 0), 1);
	assert_true(same_binding(&p, BINDING_EXPORTER, (char *)mine, 32));
	assert_false(stream_tls_binding(f->client.st, BINDING_EXPORTER, none, &n)); /* in the clear */
	peer_free(&p);
	assert_true(peer_connect(&p, f, t, &(struct peer_wants){ .version = TLS1_2_VERSION }));
	assert_false(same_binding(&p, BINDING_EXPORTER, NULL, 0));
	peer_free(&p);
	tls_context_unref(t);
}

static void test_end_point(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct certificate_recipe recipe;
		const char *hash; /* NULL: no such binding */
	} cases[] = {
		{ { "sha256", NULL, EVP_PKEY_EC, "SHA256" }, "SHA256" },  { { "sha384", NULL, EVP_PKEY_EC, "SHA384" }, "SHA384" },
		{ { "sha512", NULL, EVP_PKEY_RSA, "SHA512" }, "SHA512" }, { { "sha1", NULL, EVP_PKEY_RSA, "SHA1" }, "SHA256" },
		{ { "md5", NULL, EVP_PKEY_RSA, "MD5" }, "SHA256" },       { { "ed", NULL, EVP_PKEY_ED25519, NULL }, NULL },
	};
	struct verdict why;
	struct peer p;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tls_certificate c = make_certificate_as(&f->arena, &cases[i].recipe);
		struct tls_server_options options = { .certificates = &c, .n = 1, .minimum = TLS_1_2, .legacy = true };
		struct tls_context *t = tls_server_context(&options, &f->arena, &why);
		unsigned char mine[64];
		unsigned n = 0;

		assert_non_null(t);
		assert_true(peer_connect(&p, f, t, &(struct peer_wants){ .version = TLS1_2_VERSION }));
		if (cases[i].hash)
			X509_digest(SSL_get0_peer_certificate(p.ssl), EVP_get_digestbyname(cases[i].hash), mine, &n);
		if (same_binding(&p, BINDING_SERVER_END_POINT, (char *)mine, n) != (cases[i].hash != NULL))
			fail_msg("%s", cases[i].recipe.name);
		peer_free(&p);
		tls_context_unref(t);
	}
}

/* The certificate that was sent, of several; and a resumed session, which does not say. */
static void test_end_point_of_several(void **state)
{
	struct fixture *f = *state;
	static const struct peer_wants cases[] = {
		{ .version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256" },
		{ .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" },
		{ .version = TLS1_2_VERSION, .name = "a.wild.example" },
		{ .version = TLS1_3_VERSION, .name = "alternative.example" },
	};
	struct tls_context *t = make_server(f, S(""));
	struct peer p, again;
	unsigned char mine[64];
	unsigned n;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct peer_wants wants = cases[i];

		assert_true(peer_connect(&p, f, t, &wants));
		X509_digest(SSL_get0_peer_certificate(p.ssl), EVP_sha256(), mine, &n);
		assert_true(same_binding(&p, BINDING_SERVER_END_POINT, (char *)mine, n));
		fixture_disconnect(f);
		wants.session = p.session;
		assert_true(peer_connect(&again, f, t, &wants));
		assert_true(SSL_session_reused(again.ssl));
		assert_int_equal(same_binding(&again, BINDING_SERVER_END_POINT, (char *)mine, n), i >= 2);
		peer_free(&again);
		SSL_free(p.ssl);
		SSL_CTX_free(p.ctx);
		SSL_SESSION_free(p.session);
	}
	tls_context_unref(t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(test_names),
		T(test_two_keys),
		T(test_two_keys_of_one_name),
		T(test_protocols),
		T(test_resumption),
		T(test_ticket_keys_change_daily),
		T(test_ticket_secrets),
		T(test_exporter),
		T(test_end_point),
		T(test_end_point_of_several),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
