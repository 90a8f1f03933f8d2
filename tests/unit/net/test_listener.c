/* test_listener.c - listening sockets, what happens when descriptors run out, and the resolver. */
#include "fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static unsigned port_of(int fd)
{
	struct sockaddr_in6 name = { 0 };
	socklen_t length = sizeof(name);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &length), 0);
	return ntohs(name.sin6_port);
}

/* Does anybody listen there? Returns the connected socket, or -1. */
static int try_connect(const char *address, unsigned port)
{
	struct sockaddr_storage to = { 0 };
	socklen_t length = sizeof(struct sockaddr_in6);
	int fd;

	if (uv_ip4_addr(address, (int)port, (struct sockaddr_in *)&to) == 0)
		length = sizeof(struct sockaddr_in);
	else
		assert_int_equal(uv_ip6_addr(address, (int)port, (struct sockaddr_in6 *)&to), 0);
	fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fd, (const struct sockaddr *)&to, length) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool has_ipv6(void)
{
	struct sockaddr_in6 name;
	int fd = socket(AF_INET6, SOCK_STREAM, 0);
	bool has;

	uv_ip6_addr("::1", 0, &name);
	has = fd >= 0 && bind(fd, (const struct sockaddr *)&name, sizeof(name)) == 0;
	if (fd >= 0)
		close(fd);
	return has;
}

static void test_open(void **state)
{
	struct arena a = { 0 };
	int fds[2], fd;
	size_t n;
	unsigned port;
	struct verdict v;

	/* the port that IPv4 gives can be another program's by IPv6 */
	for (int i = 0; i < 20; i++) {
		v = listener_open(S("*"), 0, false, &a, fds, &n);
		if (v.class == OK)
			break;
		assert_true(str_search(v.text, S("in use")) < v.text.n);
	}
	assert_int_equal(v.class, OK);
	assert_int_equal(n, has_ipv6() ? 2 : 1);
	port = port_of(fds[0]);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(port_of(fds[i]), port);
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
	}
	fd = try_connect("127.0.0.1", port);
	assert_true(fd >= 0);
	close(fd);
	if (has_ipv6()) {
		fd = try_connect("::1", port);
		assert_true(fd >= 0);
		close(fd);
	}

	/* the port is taken, and the message says which */
	{
		int more[2];
		size_t more_n;

		v = listener_open(S("127.0.0.1"), port, false, &a, more, &more_n);
		assert_int_equal(v.class, PERM);
		assert_int_equal(more_n, 0);
		assert_true(str_search(v.text, S("127.0.0.1")) < v.text.n);
		assert_true(str_search(v.text, S("in use")) < v.text.n);
		v = listener_open(S("*"), port, false, &a, more, &more_n);
		assert_int_equal(v.class, PERM);
		assert_int_equal(more_n, 0);
	}
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	assert_int_equal(listener_open(S("mail.example.org"), 25, false, &a, fds, &n).class, PERM);
	assert_int_equal(listener_open(S("192.0.2.1"), 0, false, &a, fds, &n).class, PERM); /* not ours */
	assert_int_equal(listener_open(S("127.0.0.1"), 70000, false, &a, fds, &n).class, PERM);
	arena_fini(&a);
}

static void test_ipv6(void **state)
{
	struct arena a = { 0 };
	int fds[2], fd;
	size_t n;

	if (!has_ipv6())
		skip();
	assert_int_equal(listener_open(S("::1"), 0, false, &a, fds, &n).class, OK);
	assert_int_equal(n, 1);
	fd = try_connect("::1", port_of(fds[0]));
	assert_true(fd >= 0);
	close(fd);
	close(fds[0]);
	arena_fini(&a);
}

/* One socket per process on the same port. */
static void test_reuseport(void **state)
{
	struct arena a = { 0 };
	int one[2], two[2];
	size_t n;

	assert_int_equal(listener_open(S("127.0.0.1"), 0, true, &a, one, &n).class, OK);
	assert_int_equal(listener_open(S("127.0.0.1"), port_of(one[0]), true, &a, two, &n).class, OK);
	close(one[0]);
	close(two[0]);
	arena_fini(&a);
}

static void close_listener(struct fixture *f)
{
	listener_close(f->listener);
	listener_close(f->listener);
	f->listener = NULL;
}

static void test_close_in_callback(void **state)
{
	struct fixture *f = *state;
	int one, two;

	one = try_connect("127.0.0.1", f->port);
	two = try_connect("127.0.0.1", f->port);
	f->accept_hook = close_listener;
	run_for(&f->loop, 50);
	assert_int_equal(f->accepted, 1);
	assert_int_equal(try_connect("127.0.0.1", f->port), -1);
	close(one);
	close(two);
}

static void not_wanted(void *ctx, int fd)
{
	close(fd);
	++*(unsigned *)ctx;
}

/* A user need not make a stream of each client. */
static void test_not_wanted(void **state)
{
	struct fixture *f = *state;
	struct listener *l;
	unsigned n = 0;
	int fds[2], fd;
	size_t fds_n;
	char byte;

	assert_int_equal(listener_open(S("127.0.0.1"), 0, false, &f->arena, fds, &fds_n).class, OK);
	fd = try_connect("127.0.0.1", port_of(fds[0]));
	l = listener_serve(&f->loop, fds[0], not_wanted, &n);
	assert_true(run_until(&f->loop, &n, 1));
	assert_int_equal(read(fd, &byte, 1), 0);
	close(fd);
	listener_close(l);
}

/* No descriptor is left: clients wait, the loop does not spin, and they are served when one is free. */
static void test_starved(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, few;
	int held[256], n = 0, fd;
	uint64_t begun, spent;
	struct rusage from, to;

	fd = try_connect("127.0.0.1", f->port);
	assert_true(fd >= 0);
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){ .rlim_cur = 64, .rlim_max = before.rlim_max };
	setrlimit(RLIMIT_NOFILE, &few);
	while ((held[n] = dup(fd)) >= 0)
		n++;
	getrusage(RUSAGE_SELF, &from);
	begun = uv_hrtime();
	run_for(&f->loop, 600);
	assert_true((uv_hrtime() - begun) / 1000000 >= 500);
	getrusage(RUSAGE_SELF, &to);
	spent = (uint64_t)(to.ru_utime.tv_usec - from.ru_utime.tv_usec + to.ru_stime.tv_usec - from.ru_stime.tv_usec) +
		1000000 * (uint64_t)(to.ru_utime.tv_sec - from.ru_utime.tv_sec + to.ru_stime.tv_sec - from.ru_stime.tv_sec);
	assert_int_equal(f->accepted, 0);
	assert_true(spent < 200000);
	while (n > 0)
		close(held[--n]);
	assert_true(run_until(&f->loop, &f->accepted, 1));
	setrlimit(RLIMIT_NOFILE, &before);
	close(fd);
}

static void test_descriptor_limit(void **state)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(raise_descriptor_limit(), limit.rlim_max);
	getrlimit(RLIMIT_NOFILE, &limit);
	assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

/* ---- resolver ---- */

struct answer {
	unsigned calls;
	struct verdict v;
	size_t n;
	struct sockaddr_storage first;
	bool four, six;
};

static void on_resolved(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n)
{
	struct answer *a = ctx;

	a->calls++;
	a->v = v;
	a->n = n;
	for (size_t i = 0; i < n; i++) {
		a->four |= addresses[i].ss_family == AF_INET;
		a->six |= addresses[i].ss_family == AF_INET6;
	}
	if (n)
		a->first = addresses[0];
}

static void test_resolve(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct str host;
		bool ipv4, ipv6;
		enum verdict_class class;
	} cases[] = {
		{ { "127.0.0.1", 9 }, true, true, OK },  { { "::1", 3 }, true, true, OK },
		{ { "[::1]", 5 }, true, true, OK },      { { "localhost", 9 }, true, false, OK },
		{ { "192.0.2.7", 9 }, true, false, OK }, { { "192.0.2.7", 9 }, false, true, PERM },
		{ { "::1", 3 }, true, false, PERM },     { { "", 0 }, true, true, PERM },
		{ { "a\0b", 3 }, true, true, PERM },     { { "localhost", 9 }, false, false, PERM },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct answer a = { 0 };

		resolve_host(&f->loop, cases[i].host, 2525, cases[i].ipv4, cases[i].ipv6, on_resolved, &a);
		assert_int_equal(a.calls, 0); /* never before it returns */
		assert_true(run_until(&f->loop, &a.calls, 1));
		if (a.v.class != cases[i].class)
			fail_msg("%.*s: %d %.*s", STR_ARG(cases[i].host), a.v.class, STR_ARG(a.v.text));
		assert_int_equal(a.n > 0, a.v.class == OK);
		if (a.v.class == PERM)
			assert_true(str_eq(a.v.enhanced, S("5.4.4")));
		if (a.n > 0)
			assert_int_equal(ntohs(((struct sockaddr_in *)&a.first)->sin_port), 2525);
		assert_true((cases[i].ipv4 || !a.four) && (cases[i].ipv6 || !a.six));
	}
}

static void test_resolve_long_name(void **state)
{
	struct fixture *f = *state;
	struct answer a = { 0 };
	char name[2000];

	memset(name, 'a', sizeof(name));
	resolve_host(&f->loop, str_make(name, sizeof(name)), 25, true, true, on_resolved, &a);
	assert_true(run_until(&f->loop, &a.calls, 1));
	assert_int_not_equal(a.v.class, OK);
}

static void test_resolve_cancel(void **state)
{
	struct fixture *f = *state;
	struct answer a = { 0 };

	resolve_cancel(resolve_host(&f->loop, S("localhost"), 25, true, true, on_resolved, &a));
	resolve_cancel(resolve_host(&f->loop, S(""), 25, true, true, on_resolved, &a));
	resolve_cancel(NULL);
	run_for(&f->loop, 100);
	assert_int_equal(a.calls, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_reuseport),
		T(test_close_in_callback),
		T(test_not_wanted),
		T(test_starved),
		T(test_resolve),
		T(test_resolve_long_name),
		T(test_resolve_cancel),
		cmocka_unit_test(test_descriptor_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
