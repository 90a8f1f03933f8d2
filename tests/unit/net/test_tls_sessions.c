/* test_tls_sessions.c - sessions that a client resumes: with the same server and the same demands only, each ticket once, not for
 * ever, and what follows when the server does not get on with them. */
#include "peer.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include "tls.h"
#include "tls_sessions.h"

#include <string.h>

static struct {
	struct str chain;
	struct tls_context *server, *client;
} t;

static void greet(struct end *e)
{
	if (e->tls.class == OK)
		stream_write(e->st, S("hi"));
}

static void make_contexts(struct fixture *f, int version)
{
	struct str key;
	struct verdict why;

	make_certificate(&f->arena, "mail.example.org", &t.chain, &key);
	t.server = server_context(f, t.chain, key, TLS_1_2, &why);
	t.client = tls_client_context(t.chain, &f->arena, &why);
	SSL_CTX_set_max_proto_version(t.server->sets[0].ctx, version);
	SSL_CTX_set_tlsext_ticket_key_evp_cb(t.server->sets[0].ctx, NULL); /* OpenSSL's own give a new ticket each time */
}

static void free_contexts(void)
{
	tls_context_unref(t.server);
	tls_context_unref(t.client);
}

static struct str_list names(struct fixture *f, const char *name)
{
	struct str_list list = { ARENA_ARRAY(&f->arena, struct str, 1), 1 };

	list.at[0] = str_of(name);
	return list;
}

/* One connection, with the server's tickets. */
static struct stream_tls_info connect_with(struct fixture *f, struct tls_client_options o)
{
	struct stream_tls_info info;

	f->server.tls_hook = greet;
	fixture_connect(f);
	stream_start_server_tls(f->server.st, t.server);
	stream_start_client_tls(f->client.st, t.client, &o);
	assert_true(run_until(&f->loop, &f->client.handshakes, 1));
	if (f->client.tls.class == OK)
		assert_true(run_until_received(&f->loop, &f->client, 2));
	stream_tls_info(f->client.st, &info);
	fixture_disconnect(f);
	return info;
}

static struct tls_client_options verified(struct fixture *f)
{
	return (struct tls_client_options){ .names = names(f, "mail.example.org"),
					    .demand = TLS_DEMAND_NAMES,
					    .resume_as = S("mail.example.org:25") };
}

static void test_resumed(void **state)
{
	struct fixture *f = *state;

	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		struct tls_client_options o = verified(f);

		make_contexts(f, version);
		assert_false(connect_with(f, o).resumed);
		for (int i = 0; i < 5; i++)
			assert_true(connect_with(f, o).resumed);
		tls_client_forget_sessions(t.client);
		assert_false(connect_with(f, o).resumed);
		o.resume_as = S("");
		assert_false(connect_with(f, o).resumed);
		free_contexts();
	}
}

/* Another demand finds nothing, whether it is stricter or not. */
static void test_demands(void **state)
{
	struct fixture *f = *state;
	static const char digest[32], other_digest[32] = "x";
	const struct tlsa record = { TLSA_DANE_EE, TLSA_PUBLIC_KEY, TLSA_SHA2_256, str_make(digest, 32) };
	const struct tlsa other = { TLSA_DANE_EE, TLSA_PUBLIC_KEY, TLSA_SHA2_256, str_make(other_digest, 32) };
	const struct tlsa wider = { TLSA_DANE_TA, TLSA_PUBLIC_KEY, TLSA_SHA2_256, str_make(digest, 32) };
	struct str pin = str_make(digest, 32), two[] = { S("a.example"), S("b.example") };
	const struct tls_client_options rows[] = {
		{ .names = names(f, "mail.example.org"), .resume_as = S("a:25") },
		{ .names = names(f, "mail.example.org"), .resume_as = S("a:26") },
		{ .names = names(f, "mail.example.org"), .resume_as = S("a:25"), .sni = S("b.example") },
		{ .names = names(f, "mail.example.org"), .resume_as = S("a:25"), .demand = TLS_DEMAND_NAMES },
		{ .names = names(f, "a.example"), .resume_as = S("a:25"), .demand = TLS_DEMAND_NAMES },
		{ .names = { two, 2 }, .resume_as = S("a:25"), .demand = TLS_DEMAND_NAMES },
		{ .names = { two, 2 }, .resume_as = S("a:25"), .demand = TLS_DEMAND_TLSA, .tlsa = &record, .tlsa_n = 1 },
		{ .names = { two, 2 }, .resume_as = S("a:25"), .demand = TLS_DEMAND_TLSA, .tlsa = &other, .tlsa_n = 1 },
		{ .names = { two, 2 }, .resume_as = S("a:25"), .demand = TLS_DEMAND_TLSA, .tlsa = &wider, .tlsa_n = 1 },
		{ .names = { two, 2 }, .resume_as = S("a:25"), .demand = TLS_DEMAND_FINGERPRINTS, .fingerprints = { &pin, 1 } },
		{ .names = { two, 2 }, .resume_as = S("a:25"), .demand = TLS_DEMAND_FINGERPRINTS },
	};
	enum { N = sizeof rows / sizeof rows[0] };
	char keys[N][SESSION_KEY], again[SESSION_KEY];

	for (size_t i = 0; i < N; i++) {
		tls_sessions_key(&rows[i], keys[i]);
		tls_sessions_key(&rows[i], again);
		assert_memory_equal(keys[i], again, SESSION_KEY);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(keys[i], keys[j], SESSION_KEY);
	}
}

/* A session that was had without a look at the certificate does not pass for a verified one. */
static void test_stricter(void **state)
{
	struct fixture *f = *state;
	struct tls_client_options o = verified(f), wrong;

	make_contexts(f, TLS1_3_VERSION);
	o.demand = TLS_DEMAND_NOTHING;
	o.names = names(f, "other.example.org");
	assert_false(connect_with(f, o).resumed);
	assert_true(connect_with(f, o).resumed);
	wrong = o;
	wrong.demand = TLS_DEMAND_NAMES;
	assert_int_equal(connect_with(f, wrong).result, TLS_RESULT_CERTIFICATE_HOST_MISMATCH);
	assert_true(connect_with(f, o).resumed);
	free_contexts();
}

/* The server does not know the session any more: a whole handshake follows within the same connection. */
static void test_forgotten(void **state)
{
	struct fixture *f = *state;
	struct tls_client_options o = verified(f);
	struct str key;
	struct verdict why;
	struct tls_certificate made;

	make_contexts(f, TLS1_3_VERSION);
	assert_false(connect_with(f, o).resumed);
	tls_context_unref(t.server);
	make_certificate(&f->arena, "mail.example.org", &made.chain_pem, &key);
	t.server = server_context(f, made.chain_pem, key, TLS_1_2, &why); /* another key, which the client does not trust */
	assert_int_equal(connect_with(f, o).result, TLS_RESULT_CERTIFICATE_NOT_TRUSTED);
	free_contexts();
}

/* ---- the table ---- */

/* A session of TLS 1.2, which can be offered more than once. */
static SSL_SESSION *get_session(struct fixture *f, struct peer *p)
{
	peer_connect(p, f, t.server, &(struct peer_wants){ 0 });
	return SSL_get1_session(p->ssl);
}

static bool offers(struct tls_sessions *s, const char *key, struct peer *p, uint64_t *born_ms_out)
{
	SSL *ssl = SSL_new(p->ctx);
	bool offered = tls_sessions_offer(s, key, ssl, born_ms_out);

	SSL_free(ssl);
	return offered;
}

static void test_table(void **state)
{
	struct fixture *f = *state;
	struct tls_sessions *s = tls_sessions_new();
	char key[SESSION_KEY] = "a", other[SESSION_KEY] = "b";
	uint64_t now, born;
	SSL_SESSION *session;
	struct peer p;

	make_contexts(f, TLS1_2_VERSION);
	session = get_session(f, &p);
	now = clock_mono_ms();
	assert_false(offers(s, key, &p, &born));
	tls_sessions_put(s, key, p.ssl, session, now);
	assert_false(offers(s, other, &p, &born));
	assert_true(offers(s, key, &p, &born));
	assert_int_equal(born, now);
	tls_sessions_forget(s, key);
	assert_false(offers(s, key, &p, &born));
	tls_sessions_put(s, key, p.ssl, session, now - HOUR_MS); /* the certificate was verified an hour ago */
	assert_false(offers(s, key, &p, &born));
	for (int i = 0; i < 5000; i++) { /* the table has an end, and the newest ones stay */
		memcpy(key, &i, sizeof i);
		tls_sessions_put(s, key, p.ssl, session, now);
		assert_true(offers(s, key, &p, &born));
	}
	tls_sessions_clear(s);
	assert_false(offers(s, key, &p, &born));
	tls_sessions_free(s);
	SSL_SESSION_free(session);
	peer_free(&p);
	free_contexts();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_resumed, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_demands, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_stricter, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_forgotten, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_table, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
