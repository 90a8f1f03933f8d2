/* test_secrets.c - a password that came or went by TLS is nowhere in this process's memory afterwards. */
#include "fixture.h"
#include "memory.h"

#include "posthouse/secret.h"

#include <stdlib.h>
#include <string.h>

#define BEFORE     "AUTH SOMETHING and so on and so forth: "
#define LINE_BYTES (sizeof(BEFORE) - 1 + MARK_BYTES)
struct keys {
	struct tls_context *server, *client;
};

static void begin(struct fixture *f, struct keys *k)
{
	struct str chain, key;
	struct verdict why;

	make_certificate(&f->arena, "mail.example.org", &chain, &key);
	k->server = server_context(f, chain, key, TLS_1_2, &why);
	k->client = tls_client_context(chain, &f->arena, &why);
	f->client.discard = f->server.discard = true;
	fixture_connect(f);
	stream_start_server_tls(f->server.st, k->server);
	client_tls(&f->client, k->client, S("mail.example.org"), true);
	assert_true(run_until(&f->loop, &f->client.handshakes, 1));
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
}

static void end(struct keys *k)
{
	tls_context_unref(k->server);
	tls_context_unref(k->client);
}

static void test_search_finds(void **state)
{
	char mark[MARK_BYTES], *copy = malloc(MARK_BYTES);

	make_mark(mark, 9);
	assert_int_equal(copies_of(mark), 0);
	memcpy(copy, mark, MARK_BYTES);
	assert_true(copies_of(mark) > 0);
	wipe(copy, MARK_BYTES);
	assert_int_equal(copies_of(mark), 0);
	free(copy);
}

/* The mark with something before it: the beginning of freed memory is written over by whoever manages it. */
static void write_line(struct stream *st, const char mark[MARK_BYTES])
{
	char line[LINE_BYTES];

	memcpy(line, BEFORE, LINE_BYTES - MARK_BYTES);
	memcpy(line + LINE_BYTES - MARK_BYTES, mark, MARK_BYTES);
	stream_write(st, str_make(line, LINE_BYTES));
	wipe(line, LINE_BYTES);
}

/* There and back, while the streams live on. */
static void test_taken_at_once(void **state)
{
	struct fixture *f = *state;
	char mark[MARK_BYTES];
	struct keys k;

	begin(f, &k);
	make_mark(mark, 0);
	write_line(f->client.st, mark);
	assert_true(run_until_received(&f->loop, &f->server, LINE_BYTES));
	write_line(f->server.st, mark);
	assert_true(run_until_received(&f->loop, &f->client, LINE_BYTES));
	assert_int_equal(copies_of(mark), 0);
	end(&k);
}

/* Taken in pieces, so that it had to wait; and written with so much around it that buffers had to grow. */
static void test_taken_slowly(void **state)
{
	struct fixture *f = *state;
	static char filling[3000];
	char mark[MARK_BYTES];
	struct keys k;

	begin(f, &k);
	make_mark(mark, 1);
	f->server.take_max = 7;
	write_line(f->client.st, mark);
	stream_write(f->client.st, str_make(filling, sizeof filling));
	assert_true(run_until_received(&f->loop, &f->server, 7));
	f->server.take_max = 0;
	stream_resume(f->server.st);
	assert_true(run_until_received(&f->loop, &f->server, LINE_BYTES + sizeof filling));
	assert_int_equal(copies_of(mark), 0);
	end(&k);
}

/* Written or waiting when the stream is closed. */
static void test_closed(void **state)
{
	struct fixture *f = *state;
	char mark[MARK_BYTES];
	struct keys k;

	begin(f, &k);
	make_mark(mark, 2);
	f->server.take_max = 7;
	write_line(f->client.st, mark);
	assert_true(run_until_received(&f->loop, &f->server, 7));
	write_line(f->server.st, mark);
	assert_true(copies_of(mark) > 0);
	fixture_disconnect(f);
	assert_int_equal(copies_of(mark), 0);
	end(&k);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_search_finds),
		T(test_taken_at_once),
		T(test_taken_slowly),
		T(test_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
