/* test_client_keys.c - handshakes of relay's TLS client with a certificate whose key only vault has: each kind of key in TLS 1.2
 * and 1.3, what vault does not sign, and handshakes that end in the middle. */
#include "../net/fixture.h"

#include "client_keys.h"
#include "client_text.h"
#include "tls.h"

#include <openssl/pem.h>

static struct {
	struct tls_certificate own, server;
	struct client_keys *keys;
	struct tls_context *server_context, *client_context;
	unsigned asked;
	struct str text; /* of the last question, in the fixture's arena */
	uint64_t scheme;
	bool silent, empty;
} t;

static int trust(int good, X509_STORE_CTX *ctx)
{
	return 1;
}

static void make_contexts(struct fixture *f, int kind, int version)
{
	struct certificate_recipe recipe = { "relay.example.org", NULL, kind, NULL, 0 };
	struct cfg_upstream u = { .name = S("isp") };
	struct config c = { .upstreams = &u, .upstreams_n = 1 };
	struct verdict why;
	SSL_CTX *ctx;

	memset(&t, 0, sizeof t);
	t.own = make_certificate_as(&f->arena, &recipe);
	make_certificate(&f->arena, "mail.example.org", &t.server.chain_pem, &t.server.key_pem);
	u.certificate_key_pem = t.own.key_pem;
	t.keys = client_keys_new(&f->arena, &c, &why);
	assert_non_null(t.keys);
	t.server_context = server_context(f, t.server.chain_pem, t.server.key_pem, TLS_1_2, &why);
	t.client_context = tls_client_context(t.server.chain_pem, &f->arena, &why);
	assert_true(tls_client_certificate(t.client_context, t.own.chain_pem, &f->arena, &why));
	ctx = t.server_context->sets[0].ctx;
	SSL_CTX_set_max_proto_version(ctx, version);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, trust);
}

static void free_contexts(void)
{
	client_keys_free(t.keys);
	tls_context_unref(t.server_context);
	tls_context_unref(t.client_context);
}

/* Relay and vault in one. */
static void on_sign(void *ctx, struct stream *st, const struct tls_to_sign *what)
{
	struct end *e = ctx;
	struct msg_tls_sign m = { .upstream = S("isp"), .key = what->key, .scheme = what->scheme, .text = what->text };
	struct str signature = S("");

	t.asked++;
	t.text = arena_str(&e->texts, what->text);
	t.scheme = what->scheme;
	if (!t.empty)
		assert_int_equal(client_keys_sign(t.keys, &e->texts, &m, &signature).class, OK);
	if (!t.silent)
		stream_signed(st, signature);
}

static void begin(struct fixture *f)
{
	struct str name = S("mail.example.org");

	end_sign = on_sign;
	fixture_connect(f);
	stream_start_server_tls(f->server.st, t.server_context);
	client_tls(&f->client, t.client_context, name, true);
}

/* The server has checked the signature. */
static void test_kinds(void **state)
{
	static const struct {
		int kind, version;
		unsigned scheme;
	} rows[] = {
		{ EVP_PKEY_RSA, TLS1_2_VERSION, 0x0804 },     { EVP_PKEY_RSA, TLS1_3_VERSION, 0x0804 },
		{ EVP_PKEY_EC, TLS1_2_VERSION, 0x0403 },      { EVP_PKEY_EC, TLS1_3_VERSION, 0x0403 },
		{ NID_secp384r1, TLS1_2_VERSION, 0 },         { NID_secp384r1, TLS1_3_VERSION, 0x0503 },
		{ EVP_PKEY_ED25519, TLS1_2_VERSION, 0x0807 }, { EVP_PKEY_ED25519, TLS1_3_VERSION, 0x0807 },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fixture *f = *state;

		make_contexts(f, rows[i].kind, rows[i].version);
		begin(f);
		assert_true(run_until(&f->loop, &f->client.handshakes, 1));
		assert_true(run_until(&f->loop, &f->server.handshakes, 1));
		assert_int_equal(f->client.tls.class, OK);
		assert_int_equal(f->server.tls.class, OK);
		assert_int_equal(t.asked, 1);
		assert_true(rows[i].scheme == 0 || rows[i].scheme == t.scheme);
		stream_write(f->client.st, S("EHLO me\r\n"));
		assert_true(run_until_received(&f->loop, &f->server, 9));
		stream_write(f->server.st, S("250 ok\r\n"));
		assert_true(run_until_received(&f->loop, &f->client, 8));
		fixture_disconnect(f);
		free_contexts();
	}
}

/* A server that takes only the old padding. */
static void test_old_padding(void **state)
{
	struct fixture *f = *state;

	make_contexts(f, EVP_PKEY_RSA, TLS1_2_VERSION);
	assert_int_equal(SSL_CTX_set1_client_sigalgs_list(t.server_context->sets[0].ctx, "RSA+SHA384"), 1);
	begin(f);
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
	assert_int_equal(f->server.tls.class, OK);
	assert_int_equal(t.scheme, 0x0501);
	fixture_disconnect(f);
	free_contexts();
}

/* No answer, and the connection is closed; an empty answer; input meanwhile. */
static void test_ends(void **state)
{
	struct fixture *f = *state;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		make_contexts(f, EVP_PKEY_EC, version);
		t.silent = true;
		begin(f);
		assert_true(run_until(&f->loop, &t.asked, 1));
		stream_resume(f->client.st); /* does not go on without the signature */
		run_for(&f->loop, 20);
		assert_int_equal(f->client.handshakes, 0);
		fixture_disconnect(f);
		t.silent = false;
		t.empty = true;
		begin(f);
		assert_true(run_until(&f->loop, &f->client.handshakes, 1));
		assert_int_equal(f->client.tls.class, TEMP);
		fixture_disconnect(f);
		t.empty = false;
		begin(f);
		assert_true(run_until(&f->loop, &f->server.handshakes, 1));
		assert_int_equal(f->server.tls.class, OK);
		fixture_disconnect(f);
		free_contexts();
	}
}

/* The whole text and no other one. */
static void test_texts(void **state)
{
	struct fixture *f = *state;
	struct str text;
	char *copy;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		make_contexts(f, EVP_PKEY_EC, version);
		begin(f);
		assert_true(run_until(&f->loop, &f->server.handshakes, 1));
		text = arena_str(&f->arena, t.text);
		assert_true(client_text_fits(text));
		for (size_t n = 0; n < text.n; n++)
			assert_false(client_text_fits(str_head(text, n)) && !(version == TLS1_3_VERSION && n == text.n - 16));
		assert_false(client_text_fits(arena_printf(&f->arena, "%.*s!", STR_ARG(text))) && version == TLS1_3_VERSION);
		copy = (char *)(uintptr_t)text.p;
		copy[0] ^= 1;
		assert_false(client_text_fits(text));
		copy[0] ^= 1;
		if (version == TLS1_3_VERSION)
			copy[64 + 9] = 's'; /* "server CertificateVerify" would be longer; any other context */
		else
			copy[3] ^= 0x40; /* the length of the first message */
		assert_false(client_text_fits(text));
		fixture_disconnect(f);
		free_contexts();
	}
	assert_false(client_text_fits(S("")));
	assert_false(client_text_fits(S("0123456789abcdef0123456789abcdef")));
}

/* What vault says no to. */
static void test_refusals(void **state)
{
	struct fixture *f = *state;
	struct msg_tls_sign good, m;
	struct str signature;

	make_contexts(f, EVP_PKEY_RSA, TLS1_3_VERSION);
	begin(f);
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
	good = (struct msg_tls_sign){
		.upstream = S("isp"), .key = str_make(t.client_context->key_id, TLS_KEY_ID), .scheme = 0x0804, .text = t.text
	};
	assert_int_equal(client_keys_sign(t.keys, &f->arena, &good, &signature).class, OK);
	assert_int_equal(signature.n, 256);
	m = good;
	m.upstream = S("other");
	assert_int_equal(client_keys_sign(t.keys, &f->arena, &m, &signature).class, TEMP);
	m = good;
	m.key = str_head(m.key, 31);
	assert_int_equal(client_keys_sign(t.keys, &f->arena, &m, &signature).class, TEMP);
	m = good;
	m.text = S("a contract");
	assert_int_equal(client_keys_sign(t.keys, &f->arena, &m, &signature).class, TEMP);
	m = good;
	for (unsigned scheme = 0; scheme < 0x1000; scheme++) { /* the key's own kind only, and no MD5 or SHA-1 */
		static const unsigned taken[] = { 0x0401, 0x0501, 0x0601, 0x0804, 0x0805, 0x0806 };
		bool known = false;

		for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
			known |= taken[i] == scheme;
		m.scheme = scheme;
		if (!known)
			assert_int_equal(client_keys_sign(t.keys, &f->arena, &m, &signature).class, TEMP);
	}
	fixture_disconnect(f);
	free_contexts();
	assert_int_equal(client_keys_sign(NULL, &f->arena, &good, &signature).class, TEMP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_old_padding, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_ends, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_texts, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refusals, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
