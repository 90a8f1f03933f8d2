/* test_tls.c - TLS on a stream: STARTTLS and implicit, what is verified, what is discarded, large transfers, every way to fail. */
#include "fixture.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <openssl/evp.h>
#include <unistd.h>

struct keys {
	struct str chain, key;
	struct tls_context *server, *client;
};

/* Contexts that know each other. ends_s: of the certificate, as in its recipe. */
static struct keys make_keys_until(struct fixture *f, long ends_s)
{
	struct certificate_recipe recipe = { "mail.example.org", "DNS:mail.example.org,IP:127.0.0.1", EVP_PKEY_EC, NULL, ends_s };
	struct tls_certificate made = make_certificate_as(&f->arena, &recipe);
	struct keys k = { .chain = made.chain_pem, .key = made.key_pem };
	struct verdict why;

	k.server = server_context(f, k.chain, k.key, TLS_1_2, &why);
	assert_non_null(k.server);
	assert_int_equal(why.class, OK);
	k.client = tls_client_context(k.chain, &f->arena, &why);
	assert_non_null(k.client);
	assert_int_equal(why.class, OK);
	return k;
}

static struct keys make_keys(struct fixture *f)
{
	return make_keys_until(f, 0);
}

static void free_keys(struct keys *k)
{
	tls_context_unref(k->server);
	tls_context_unref(k->client);
}

/* Both sides begin at once. */
static void both_start(struct fixture *f, struct keys *k, struct str name, bool verify)
{
	fixture_connect(f);
	stream_start_server_tls(f->server.st, k->server);
	client_tls(&f->client, k->client, name, verify);
	assert_int_equal(f->client.handshakes, 0);
	assert_true(run_until(&f->loop, &f->client.handshakes, 1));
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
}

static void echo(struct end *e)
{
	stream_write(e->st, buf_view(&e->got));
	buf_clear(&e->got);
}

static void test_implicit(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);
	struct stream_tls_info info;

	f->server.input_hook = echo;
	both_start(f, &k, S("mail.example.org"), true);
	free_keys(&k); /* the streams keep theirs */
	assert_int_equal(f->client.tls.class, OK);
	assert_int_equal(f->server.tls.class, OK);
	stream_tls_info(f->client.st, &info);
	assert_true(info.on);
	assert_string_equal(info.version, "TLSv1.3");
	assert_true(info.bits >= 128);
	assert_true(strlen(info.cipher) > 0);
	stream_write(f->client.st, S("EHLO me\r\n"));
	assert_true(run_until_received(&f->loop, &f->client, 9));
	assert_true(str_eq(buf_view(&f->client.got), S("EHLO me\r\n")));
	assert_int_equal(f->client.drains, 1);
}

/* ---- STARTTLS as SMTP does it ---- */

static void on_starttls_command(struct end *e)
{
	struct keys *k = e->extra;
	struct stream_tls_info info;

	stream_tls_info(e->st, &info);
	if (info.on) {
		stream_write(e->st, S("250 secret\r\n"));
		return;
	}
	stream_write(e->st, S("220 go ahead\r\n"));
	stream_start_server_tls(e->st, k->server);
}

static void on_go_ahead(struct end *e)
{
	struct keys *k = e->extra;

	if (str_ends(buf_view(&e->got), S("220 go ahead\r\n")))
		client_tls(e, k->client, S("mail.example.org"), true);
}

static void greet_again(struct end *e)
{
	buf_clear(&e->got);
	if (e->tls.class == OK)
		stream_write(e->st, S("EHLO again\r\n"));
}

static void take_all(struct end *e)
{
	e->take_max = 0;
}

static void test_starttls(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	f->server.extra = f->client.extra = &k;
	f->server.input_hook = on_starttls_command;
	f->client.input_hook = on_go_ahead;
	f->client.tls_hook = greet_again;
	stream_write(f->client.st, S("STARTTLS\r\n"));
	assert_true(run_until_received(&f->loop, &f->client, 14 + 12));
	assert_int_equal(f->client.tls.class, OK);
	assert_true(str_eq(buf_view(&f->client.got), S("250 secret\r\n")));
	free_keys(&k);
}

/* RFC 3207: a command smuggled in behind STARTTLS must not be taken as if it had come encrypted. */
static void test_injection(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	f->server.extra = f->client.extra = &k;
	f->server.input_hook = on_starttls_command;
	f->server.tls_hook = take_all;
	f->server.take_max = 10; /* as an SMTP machine that stops behind STARTTLS */
	f->client.input_hook = on_go_ahead;
	f->client.tls_hook = greet_again;
	stream_write(f->client.st, S("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n"));
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
	assert_int_equal(f->server.tls.class, OK);
	assert_true(run_until_received(&f->loop, &f->server, 10 + 12));
	assert_true(str_eq(buf_view(&f->server.got), S("STARTTLS\r\nEHLO again\r\n")));
	free_keys(&k);
}

/* The same when the rest waited as unread, and TLS begins outside of the callback. */
static void test_injection_unread(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	f->server.take_max = 10;
	stream_write(f->client.st, S("STARTTLS\r\nMAIL FROM:<evil@example.org>\r\n"));
	assert_true(run_until_received(&f->loop, &f->server, 10));
	f->server.take_max = 0;
	stream_write(f->server.st, S("220 go ahead\r\n"));
	stream_start_server_tls(f->server.st, k.server);
	f->client.extra = &k;
	f->client.input_hook = on_go_ahead;
	f->client.tls_hook = greet_again;
	assert_true(run_until(&f->loop, &f->client.handshakes, 1));
	assert_int_equal(f->client.tls.class, OK);
	assert_true(run_until_received(&f->loop, &f->server, 22));
	assert_true(str_eq(buf_view(&f->server.got), S("STARTTLS\r\nEHLO again\r\n")));
	free_keys(&k);
}

/* ---- verification ---- */

static const char *result_word(const struct stream *st)
{
	struct stream_tls_info info;

	stream_tls_info(st, &info);
	return tls_result_word(info.result);
}

static const struct name_case {
	struct str name;
	bool verify, known_ca;
	enum verdict_class class;
	enum tls_result result;
	long ends_s;
} name_cases[] = {
	{ { "mail.example.org", 16 }, true, true, OK, TLS_RESULT_SUCCESSFUL },
	{ { "MAIL.EXAMPLE.ORG", 16 }, true, true, OK, TLS_RESULT_SUCCESSFUL },
	{ { "127.0.0.1", 9 }, true, true, OK, TLS_RESULT_SUCCESSFUL },
	{ { "other.example.org", 17 }, true, true, PERM, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
	{ { "127.0.0.2", 9 }, true, true, PERM, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
	{ { "::1", 3 }, true, true, PERM, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
	{ { "mail.example.org", 16 }, true, false, PERM, TLS_RESULT_CERTIFICATE_NOT_TRUSTED },
	{ { "", 0 }, true, true, PERM, TLS_RESULT_VALIDATION_FAILURE },
	{ { "mail.example.org\0x", 18 }, true, true, PERM, TLS_RESULT_VALIDATION_FAILURE },
	{ { "other.example.org", 17 }, false, false, OK, TLS_RESULT_SUCCESSFUL },
	{ { "", 0 }, false, false, OK, TLS_RESULT_SUCCESSFUL },
	{ { "mail.example.org", 16 }, true, true, PERM, TLS_RESULT_CERTIFICATE_EXPIRED, -60 },
	{ { "mail.example.org", 16 }, false, true, OK, TLS_RESULT_SUCCESSFUL, -60 },
};

static void test_names(void **state)
{
	for (size_t i = 0; i < sizeof name_cases / sizeof name_cases[0]; i++) {
		void *again;
		struct fixture *f;
		struct keys k;
		struct str other_chain, other_key;
		struct verdict why;
		const struct name_case *n = &name_cases[i];

		fixture_setup(&again);
		f = again;
		k = make_keys_until(f, n->ends_s);
		if (!n->known_ca) {
			make_certificate(&f->arena, "mail.example.org", &other_chain, &other_key);
			tls_context_unref(k.client);
			k.client = tls_client_context(other_chain, &f->arena, &why);
		}
		fixture_connect(f);
		stream_start_server_tls(f->server.st, k.server);
		client_tls(&f->client, k.client, n->name, n->verify);
		assert_int_equal(f->client.handshakes, 0);
		assert_true(run_until(&f->loop, &f->client.handshakes, 1));
		if (f->client.tls.class != n->class)
			fail_msg("%.*s: %d: %.*s", STR_ARG(n->name), f->client.tls.class, STR_ARG(f->client.tls.text));
		assert_string_equal(result_word(f->client.st), tls_result_word(n->result));
		if (n->class == PERM) {
			assert_true(str_eq(f->client.tls.enhanced, S("5.7.5")));
			assert_true(f->client.tls.text.n > 0);
			stream_close(f->client.st);
			assert_true(run_until(&f->loop, &f->server.handshakes, 1));
			assert_int_equal(f->server.tls.class, TEMP);
			if (n->name.n > 0 && !memchr(n->name.p, 0, n->name.n) &&
			    str_search(f->server.tls.text, S("alert")) == f->server.tls.text.n)
				fail_msg("%.*s: no alert: %.*s", STR_ARG(n->name), STR_ARG(f->server.tls.text));
		}
		assert_int_equal(f->client.ends, 0);
		free_keys(&k);
		assert_int_equal(fixture_teardown(&again), 0);
	}
}

/* ---- failure ---- */

static void test_not_tls(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	stream_start_server_tls(f->server.st, k.server);
	stream_write(f->client.st, S("EHLO I do not speak TLS\r\n"));
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
	assert_int_equal(f->server.tls.class, TEMP);
	assert_true(str_eq(f->server.tls.enhanced, S("4.7.5")));
	stream_finish(f->server.st);
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	assert_int_equal(f->server.inputs, 0);
	assert_int_equal(f->server.ends, 0);
	free_keys(&k);
}

static void test_end_in_handshake(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	client_tls(&f->client, k.client, S("mail.example.org"), true);
	stream_close(f->server.st);
	assert_true(run_until(&f->loop, &f->client.handshakes, 1));
	assert_int_equal(f->client.tls.class, TEMP);
	run_for(&f->loop, 20);
	assert_int_equal(f->client.ends, 0);
	free_keys(&k);
}

static void close_it(struct end *e)
{
	stream_close(e->st);
}

static void test_close_in_callbacks(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	f->server.tls_hook = close_it;
	stream_start_server_tls(f->server.st, k.server);
	client_tls(&f->client, k.client, S("mail.example.org"), true);
	stream_write(f->client.st, S("hello"));
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	free_keys(&k);
}

static void test_close_in_input(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	both_start(f, &k, S("mail.example.org"), true);
	f->server.input_hook = close_it;
	f->server.take_max = 1;
	stream_write(f->client.st, S("hello"));
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	free_keys(&k);
}

/* A changed byte in transit ends the stream with a reason. */
static void test_garbage_later(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);
	uv_os_fd_t fd;

	both_start(f, &k, S("mail.example.org"), true);
	uv_fileno((uv_handle_t *)f->client.st, &fd);
	assert_int_equal(write(fd, "\x17\x03\x03\x00\x05hello", 10), 10);
	assert_true(run_until(&f->loop, &f->server.ends, 1));
	assert_true(str_starts(f->server.why, S("TLS: ")));
	free_keys(&k);
}

/* ---- ends ---- */

static void say_bye(struct end *e)
{
	stream_write(e->st, S("221 bye\r\n"));
	stream_finish(e->st);
}

static void finish_it(struct end *e)
{
	stream_finish(e->st);
}

static void test_close_notify(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	both_start(f, &k, S("mail.example.org"), true);
	f->server.input_hook = say_bye;
	f->client.end_hook = finish_it;
	stream_write(f->client.st, S("QUIT\r\n"));
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	assert_int_equal(f->client.why.n, 0);
	assert_true(str_eq(buf_view(&f->client.got), S("221 bye\r\n")));
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_true(run_until(&f->loop, &f->client.closes, 1));
	free_keys(&k);
}

/* What was written before the handshake was done is sent, encrypted, when it is. */
static void test_early_write(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	stream_start_server_tls(f->server.st, k.server);
	stream_write(f->server.st, S("220 hello\r\n"));
	assert_int_equal(stream_pending(f->server.st), 11);
	client_tls(&f->client, k.client, S("mail.example.org"), true);
	stream_finish(f->server.st); /* no key yet: only the end is left */
	assert_true(run_until(&f->loop, &f->client.handshakes, 1));
	assert_int_equal(f->client.tls.class, TEMP);
	assert_int_equal(f->client.received, 0);
	free_keys(&k);
}

static void test_write_in_handshake(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);

	fixture_connect(f);
	stream_start_server_tls(f->server.st, k.server);
	stream_write(f->server.st, S("220 hello\r\n"));
	client_tls(&f->client, k.client, S("mail.example.org"), true);
	assert_true(run_until_received(&f->loop, &f->client, 11));
	assert_true(run_until(&f->loop, &f->server.drains, 1));
	assert_int_equal(f->server.drains, 1);
	free_keys(&k);
}

/* ---- much ---- */

#define ROUND_BYTES ((size_t)50 << 20)

static void send_more(struct end *e)
{
	static char piece[40000];
	size_t *sent = e->extra;

	while (*sent < ROUND_BYTES && stream_pending(e->st) < 200000) {
		size_t n = ROUND_BYTES - *sent < sizeof(piece) ? ROUND_BYTES - *sent : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)((*sent + i) % 251);
		stream_write(e->st, str_make(piece, n));
		*sent += n;
	}
	assert_true(stream_pending(e->st) < 400000);
}

static void check_pattern(struct end *e)
{
	struct str got = buf_view(&e->got);
	size_t at = e->received - got.n;

	for (size_t i = 0; i < got.n; i++)
		if (got.p[i] != (char)((at + i) % 251))
			fail_msg("byte %zu is wrong", at + i);
	buf_clear(&e->got);
	if (e->take_max)
		stream_resume(e->st);
}

static void test_large(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);
	size_t sent = 0;

	both_start(f, &k, S("mail.example.org"), true);
	f->client.extra = &sent;
	f->client.drain_hook = send_more;
	f->server.input_hook = check_pattern;
	f->server.take_max = 50001; /* so that ciphertext and clear text have to wait again and again */
	send_more(&f->client);
	assert_true(run_until_received(&f->loop, &f->server, ROUND_BYTES));
	free_keys(&k);
}

/* A reader that stops holds no more than a few buffers, and goes on where it was. */
static void test_back_pressure(void **state)
{
	struct fixture *f = *state;
	struct keys k = make_keys(f);
	size_t n = (size_t)10 << 20;
	char *big = xcalloc(1, n);

	both_start(f, &k, S("mail.example.org"), true);
	f->server.take_max = 1;
	stream_write(f->client.st, str_make(big, n));
	free(big);
	run_for(&f->loop, 50);
	assert_int_equal(f->server.inputs, 1);
	assert_true(stream_pending(f->client.st) > 0);
	f->server.take_max = 0;
	f->server.discard = true;
	stream_resume(f->server.st);
	assert_true(run_until_received(&f->loop, &f->server, n));
	stream_finish(f->client.st);
	assert_true(run_until(&f->loop, &f->server.ends, 1));
	assert_int_equal(f->server.why.n, 0);
	free_keys(&k);
}

/* RFC 9525 2: a name in the subject is none where a name is demanded. */
static void test_common_name(void **state)
{
	static const char *const also[] = { NULL, "DNS:mail.example.org", "IP:127.0.0.1" };
	static const enum verdict_class expected[] = { PERM, OK, PERM };

	for (size_t i = 0; i < 3; i++) {
		void *again;
		struct fixture *f;
		struct tls_certificate made;
		struct verdict why;
		struct keys k;

		fixture_setup(&again);
		f = again;
		made = make_certificate_as(&f->arena,
					   &(struct certificate_recipe){ "mail.example.org", also[i], EVP_PKEY_EC, NULL });
		k.server = server_context(f, made.chain_pem, made.key_pem, TLS_1_2, &why);
		k.client = tls_client_context(made.chain_pem, &f->arena, &why);
		fixture_connect(f);
		stream_start_server_tls(f->server.st, k.server);
		client_tls(&f->client, k.client, S("mail.example.org"), true);
		assert_true(run_until(&f->loop, &f->client.handshakes, 1));
		assert_int_equal(f->client.tls.class, expected[i]);
		free_keys(&k);
		assert_int_equal(fixture_teardown(&again), 0);
	}
}

/* One name of the list is enough, in any place. The certificate has a name that is not asked for in front of the one that is. */
static void test_several_names(void **state)
{
	static const struct {
		struct str names[3];
		enum verdict_class class;
		enum tls_result result;
	} rows[] = {
		{ { S("mail.example.org"), S("other.example.org") }, OK, TLS_RESULT_SUCCESSFUL },
		{ { S("other.example.org"), S("mail.example.org") }, OK, TLS_RESULT_SUCCESSFUL },
		{ { S("a.example.org"), S("b.example.org"), S("x.wild.example.org") }, OK, TLS_RESULT_SUCCESSFUL },
		{ { S("127.0.0.1") }, OK, TLS_RESULT_SUCCESSFUL },
		{ { S("a.example.org"), S("b.example.org") }, PERM, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
		{ { S("a.example.org"), S("x.y.wild.example.org") }, PERM, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
		/* an address stands alone */
		{ { S("mail.example.org"), S("127.0.0.1") }, PERM, TLS_RESULT_VALIDATION_FAILURE },
		{ { S("127.0.0.1"), S("mail.example.org") }, PERM, TLS_RESULT_VALIDATION_FAILURE },
		/* patterns of MTA-STS name no host: RFC 8461 4.2 */
		{ { S("*.wild.example.org") }, PERM, TLS_RESULT_VALIDATION_FAILURE },
		{ { S(".example.org") }, PERM, TLS_RESULT_VALIDATION_FAILURE },
		{ { S("other.example.org"), S(".example.org") }, PERM, TLS_RESULT_VALIDATION_FAILURE },
		{ { S("mail.example.org"), S("mail.example.org\0x") }, PERM, TLS_RESULT_VALIDATION_FAILURE },
		{ { S("") }, PERM, TLS_RESULT_VALIDATION_FAILURE }, /* an empty list */
	};
	static const struct certificate_recipe recipe = {
		"first.example.org", "DNS:first.example.org,DNS:mail.example.org,DNS:*.wild.example.org,IP:127.0.0.1",
		EVP_PKEY_EC, NULL
	};
	struct fixture *f = *state;
	struct tls_certificate made = make_certificate_as(&f->arena, &recipe);
	struct verdict why;
	struct keys k = { .server = server_context(f, made.chain_pem, made.key_pem, TLS_1_2, &why),
			  .client = tls_client_context(made.chain_pem, &f->arena, &why) };

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str names[3];
		struct str_list list = { .at = names };

		memcpy(names, rows[i].names, sizeof names);
		while (list.n < 3 && names[list.n].n > 0)
			list.n++;
		fixture_connect(f);
		stream_start_server_tls(f->server.st, k.server);
		stream_start_client_tls(f->client.st, k.client,
					&(struct tls_client_options){ .names = list, .demand = TLS_DEMAND_NAMES });
		assert_true(run_until(&f->loop, &f->client.handshakes, 1));
		if (f->client.tls.class != rows[i].class)
			fail_msg("row %zu: %.*s", i, STR_ARG(f->client.tls.text));
		assert_string_equal(result_word(f->client.st), tls_result_word(rows[i].result));
		fixture_disconnect(f);
	}
	free_keys(&k);
}

/* The server gets the first name, and chooses its certificate by that. */
static void test_first_name_is_sent(void **state)
{
	struct fixture *f = *state;
	struct tls_certificate made[2];
	struct tls_server_options options = { .certificates = made, .n = 2, .minimum = TLS_1_2 };
	struct verdict why;
	struct keys k;

	make_certificate(&f->arena, "a.example.org", &made[0].chain_pem, &made[0].key_pem);
	make_certificate(&f->arena, "b.example.org", &made[1].chain_pem, &made[1].key_pem);
	k.server = tls_server_context(&options, &f->arena, &why);
	k.client = tls_client_context(made[1].chain_pem, &f->arena, &why); /* it does not know the first certificate */
	for (size_t first = 0; first < 2; first++) {
		struct str names[2] = { first ? S("b.example.org") : S("a.example.org"),
					first ? S("a.example.org") : S("b.example.org") };

		fixture_connect(f);
		stream_start_server_tls(f->server.st, k.server);
		stream_start_client_tls(f->client.st, k.client,
					&(struct tls_client_options){ .names = { names, 2 }, .demand = TLS_DEMAND_NAMES });
		assert_true(run_until(&f->loop, &f->client.handshakes, 1));
		assert_int_equal(f->client.tls.class, first ? OK : PERM);
		fixture_disconnect(f);
	}
	free_keys(&k);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(test_implicit),
		T(test_starttls),
		T(test_injection),
		T(test_injection_unread),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_common_name),
		T(test_several_names),
		T(test_first_name_is_sent),
		T(test_not_tls),
		T(test_end_in_handshake),
		T(test_close_in_callbacks),
		T(test_close_in_input),
		T(test_garbage_later),
		T(test_close_notify),
		T(test_early_write),
		T(test_write_in_handshake),
		T(test_large),
		T(test_back_pressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
