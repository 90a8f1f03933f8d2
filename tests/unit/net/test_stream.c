/* test_stream.c - a stream in the clear: bytes both ways, back-pressure, drain, and every way to end. */
#include "fixture.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROUND_BYTES ((size_t)50 << 20)

/* ---- bytes ---- */

static void echo(struct end *e)
{
	stream_write(e->st, buf_view(&e->got));
	buf_clear(&e->got);
}

static void test_echo(void **state)
{
	struct fixture *f = *state;

	fixture_connect(f);
	f->server.input_hook = echo;
	stream_write(f->client.st, S("hello "));
	stream_write(f->client.st, S("posthouse\r\n"));
	assert_int_equal(stream_pending(f->client.st), 17);
	assert_true(run_until_received(&f->loop, &f->client, 17));
	assert_true(str_eq(buf_view(&f->client.got), S("hello posthouse\r\n")));
	assert_int_equal(f->server.inputs, 1); /* two writes, one segment */
	assert_int_equal(stream_pending(f->client.st), 0);
	assert_int_equal(f->client.drains, 1);
	assert_true(str_eq(stream_peer_address(f->server.st), S("127.0.0.1")));
}

static void test_back_pressure(void **state)
{
	struct fixture *f = *state;

	fixture_connect(f);
	f->server.take_max = 4;
	stream_write(f->client.st, S("0123456789"));
	assert_true(run_until_received(&f->loop, &f->server, 4));
	stream_write(f->client.st, S("abcdef"));
	run_for(&f->loop, 50);
	assert_int_equal(f->server.inputs, 1); /* not offered again by itself */
	stream_resume(f->server.st);
	assert_int_equal(f->server.inputs, 1); /* nor before the loop runs */
	assert_true(run_until_received(&f->loop, &f->server, 8));
	f->server.take_max = 0;
	stream_resume(f->server.st);
	assert_true(run_until_received(&f->loop, &f->server, 16));
	assert_true(str_eq(buf_view(&f->server.got), S("0123456789abcdef")));
	stream_resume(f->server.st); /* harmless when there is nothing to resume */
	run_for(&f->loop, 20);
	assert_int_equal(f->server.inputs, 4);
}

/* A peer that reads nothing: what it has no room for is unsent, and breaks the connection when that was limited. */
static void test_silence(void **state)
{
	struct fixture *f = *state;
	char *much = xmalloc((size_t)16 << 20);

	fixture_connect(f);
	memset(much, 'x', (size_t)16 << 20);
	assert_int_equal(stream_unsent(f->client.st), 0);
	f->server.take_max = 1;
	stream_write(f->client.st, str_make(much, (size_t)16 << 20));
	assert_true(run_until_received(&f->loop, &f->server, 1));
	assert_true(stream_unsent(f->client.st) > 0);
	stream_limit_silence(f->client.st, 300);
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	assert_true(str_search(f->client.why, S("timed out")) < f->client.why.n);
	free(much);
}

/* The end of the peer comes after its last bytes, even when these had to wait. */
static void test_end_after_unread(void **state)
{
	struct fixture *f = *state;

	fixture_connect(f);
	f->server.take_max = 3;
	stream_write(f->client.st, S("QUIT\r\n"));
	stream_finish(f->client.st);
	assert_true(run_until_received(&f->loop, &f->server, 3));
	run_for(&f->loop, 50);
	assert_int_equal(f->server.ends, 0);
	stream_resume(f->server.st);
	assert_true(run_until(&f->loop, &f->server.ends, 1));
	assert_int_equal(f->server.received, 6);
	assert_int_equal(f->server.why.n, 0);
}

/* ---- much ---- */

struct sender {
	size_t sent, most_pending;
};

/* Write while little is waiting: what relay does with a large message. */
static void send_more(struct end *e)
{
	static char piece[40000];
	struct sender *s = e->extra;

	while (s->sent < ROUND_BYTES && stream_pending(e->st) < 200000) {
		size_t n = ROUND_BYTES - s->sent < sizeof(piece) ? ROUND_BYTES - s->sent : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = (char)((s->sent + i) % 251);
		stream_write(e->st, str_make(piece, n));
		s->sent += n;
	}
	if (stream_pending(e->st) > s->most_pending)
		s->most_pending = stream_pending(e->st);
}

/* Check the pattern and keep nothing. */
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
	struct sender s = { 0 };

	fixture_connect(f);
	f->client.extra = &s;
	f->client.drain_hook = send_more;
	f->server.input_hook = check_pattern;
	f->server.take_max = 50001;
	send_more(&f->client);
	assert_true(run_until_received(&f->loop, &f->server, ROUND_BYTES));
	assert_true(s.most_pending < 300000);
	assert_true(f->client.drains > 10);
}

/* Nobody reads: pending stays, nothing is lost, and the drain comes when the reader does. */
static void test_pending(void **state)
{
	struct fixture *f = *state;
	size_t n = (size_t)20 << 20;
	char *big = xcalloc(1, n);

	fixture_connect(f);
	f->server.take_max = 1;
	stream_write(f->client.st, str_make(big, n));
	free(big);
	run_for(&f->loop, 50);
	assert_true(stream_pending(f->client.st) > ((size_t)1 << 20));
	assert_int_equal(f->client.drains, 0);
	f->server.take_max = 0;
	f->server.discard = true;
	stream_resume(f->server.st);
	assert_true(run_until_received(&f->loop, &f->server, n));
	assert_true(run_until(&f->loop, &f->client.drains, 1));
	assert_int_equal(f->client.drains, 1);
}

/* ---- ends ---- */

static void close_it(struct end *e)
{
	stream_close(e->st);
	stream_close(e->st); /* twice is harmless, and so is all else */
	stream_write(e->st, S("too late"));
	stream_resume(e->st);
	stream_finish(e->st);
}

static void test_close_in_input(void **state)
{
	struct fixture *f = *state;

	fixture_connect(f);
	f->server.input_hook = close_it;
	f->server.take_max = 1;
	stream_write(f->client.st, S("hello"));
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	assert_int_equal(f->server.ends, 0);
}

static void test_close_in_drain(void **state)
{
	struct fixture *f = *state;

	fixture_connect(f);
	f->client.drain_hook = close_it;
	stream_write(f->client.st, S("hello"));
	assert_true(run_until(&f->loop, &f->client.closes, 1));
}

static void test_close_in_connect(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in to;

	uv_ip4_addr("127.0.0.1", (int)f->port, &to);
	f->client.connect_hook = close_it;
	f->client.st = stream_connect_from(&f->loop, NULL, (const struct sockaddr *)&to, &end_ops, &f->client);
	assert_true(run_until(&f->loop, &f->client.closes, 1));
	assert_int_equal(f->client.connects, 1);
}

static void test_close_before_connect(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in to;

	uv_ip4_addr("127.0.0.1", (int)f->port, &to);
	f->client.st = stream_connect_from(&f->loop, NULL, (const struct sockaddr *)&to, &end_ops, &f->client);
	stream_write(f->client.st, S("hello"));
	stream_finish(f->client.st);
	assert_true(run_until(&f->loop, &f->client.closes, 1));
	assert_int_equal(f->client.connects, 0);
}

static void test_close_in_end(void **state)
{
	struct fixture *f = *state;

	fixture_connect(f);
	f->server.end_hook = close_it;
	stream_close(f->client.st);
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_int_equal(f->server.ends, 1);
}

/* Our last words arrive although the peer's are unread, and both sides end in order. */
static void say_bye(struct end *e)
{
	stream_write(e->st, S("221 bye\r\n"));
	stream_finish(e->st);
	stream_finish(e->st);
}

static void finish_it(struct end *e)
{
	stream_finish(e->st);
}

static void test_finish(void **state)
{
	struct fixture *f = *state;
	char *noise = xcalloc(1, 300000);

	fixture_connect(f);
	f->server.input_hook = say_bye;
	f->client.end_hook = finish_it;
	stream_write(f->client.st, str_make(noise, 300000));
	free(noise);
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	assert_true(str_eq(buf_view(&f->client.got), S("221 bye\r\n")));
	assert_int_equal(f->client.why.n, 0);
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_true(run_until(&f->loop, &f->client.closes, 1));
	assert_int_equal(f->server.ends, 0);
}

/* A peer that never ends its side is left after five seconds. */
static void test_finish_limit(void **state)
{
	struct fixture *f = *state;
	uint64_t begun;

	fixture_connect(f);
	begun = uv_hrtime();
	stream_write(f->server.st, S("421 going\r\n"));
	stream_finish(f->server.st);
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_true((uv_hrtime() - begun) / 1000000 >= 4500);
}

/* After the peer's end we can still write: half-closed. */
static void test_half_close(void **state)
{
	struct fixture *f = *state;

	fixture_connect(f);
	f->server.end_hook = say_bye;
	stream_write(f->client.st, S("QUIT\r\n"));
	run_for(&f->loop, 10);
	{
		uv_os_fd_t fd;

		assert_int_equal(uv_fileno((uv_handle_t *)f->client.st, &fd), 0); /* the handle is a stream's first member */
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
	}
	assert_true(run_until(&f->loop, &f->client.ends, 1));
	assert_true(str_eq(buf_view(&f->client.got), S("221 bye\r\n")));
	assert_true(run_until(&f->loop, &f->server.closes, 1));
}

/* A raw socket in the client's place. */
static int raw_connect(struct fixture *f)
{
	struct sockaddr_in to;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	uv_ip4_addr("127.0.0.1", (int)f->port, &to);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_true(run_until(&f->loop, &f->accepted, 1));
	return fd;
}

static void reset(int fd)
{
	struct linger now = { .l_onoff = 1, .l_linger = 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

static void test_reset(void **state)
{
	struct fixture *f = *state;

	reset(raw_connect(f));
	assert_true(run_until(&f->loop, &f->server.ends, 1));
	assert_true(f->server.why.n > 0);
	assert_int_equal(f->server.ends, 1);
}

/* The peer is gone when we write: an error, no signal, one report. */
static void test_reset_while_paused(void **state)
{
	struct fixture *f = *state;
	int fd = raw_connect(f);
	char big[100000] = { 0 };

	f->server.take_max = 1;
	assert_int_equal(write(fd, "hello", 5), 5);
	assert_true(run_until_received(&f->loop, &f->server, 1));
	reset(fd);
	for (int i = 0; i < 3; i++) {
		stream_write(f->server.st, str_make(big, sizeof(big)));
		run_for(&f->loop, 20);
	}
	assert_true(run_until(&f->loop, &f->server.ends, 1));
	assert_true(f->server.why.n > 0);
	assert_int_equal(f->server.drains, 0);
}

/* What the peer said before it closed on us comes before the end, though our writing fails. */
static void test_last_words(void **state)
{
	struct fixture *f = *state;
	int fd = raw_connect(f);
	char big[100000] = { 0 };

	assert_int_equal(write(fd, "421 no\r\n", 8), 8);
	reset(fd);
	stream_write(f->server.st, str_make(big, sizeof(big)));
	assert_true(run_until(&f->loop, &f->server.ends, 1));
	assert_true(str_eq(buf_view(&f->server.got), S("421 no\r\n")));
	assert_true(f->server.why.n > 0);
}

static void test_refused(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in to;

	listener_close(f->listener);
	f->listener = NULL;
	run_for(&f->loop, 20);
	uv_ip4_addr("127.0.0.1", (int)f->port, &to);
	f->client.st = stream_connect_from(&f->loop, NULL, (const struct sockaddr *)&to, &end_ops, &f->client);
	stream_write(f->client.st, S("hello"));
	assert_int_equal(f->client.connects, 0);
	assert_true(run_until(&f->loop, &f->client.connects, 1));
	assert_int_equal(f->client.connect.class, TEMP);
	assert_int_equal(f->client.connect.code, 421);
	assert_true(str_eq(f->client.connect.enhanced, S("4.4.1")));
	assert_true(str_search(f->client.connect.text, S("127.0.0.1")) < f->client.connect.text.n);
	stream_finish(f->client.st);
	assert_true(run_until(&f->loop, &f->client.closes, 1));
}

/* An address that cannot even be tried is reported like any other, later. */
static void test_impossible_address(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_storage to = { .ss_family = AF_UNIX };

	uv_ip6_addr("fe80::1", 25, (struct sockaddr_in6 *)&to); /* link-local without a scope */
	f->client.st = stream_connect_from(&f->loop, NULL, (const struct sockaddr *)&to, &end_ops, &f->client);
	assert_int_equal(f->client.connects, 0);
	assert_true(run_until(&f->loop, &f->client.connects, 1));
	assert_int_equal(f->client.connect.class, TEMP);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(test_echo),
		T(test_back_pressure),
		T(test_silence),
		T(test_end_after_unread),
		T(test_large),
		T(test_pending),
		T(test_close_in_input),
		T(test_close_in_drain),
		T(test_close_in_connect),
		T(test_close_before_connect),
		T(test_close_in_end),
		T(test_finish),
		T(test_finish_limit),
		T(test_half_close),
		T(test_reset),
		T(test_reset_while_paused),
		T(test_last_words),
		T(test_refused),
		T(test_impossible_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
