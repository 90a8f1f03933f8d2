/* test_trouble.c - a name server that fails, talks nonsense or says nothing; look-ups that are given up; resolvers that cannot be.
 * Arguments: as for test_lookup.c. */
#include "fixture.h"

#include "library.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LIMIT 400 /* ms, instead of 30 s */

static struct dns_library *library_of(struct fixture *f)
{
	return f->dns->source.ctx;
}

static void ask_false_server(struct fixture *f, enum manner manner)
{
	f->false_server.manner = manner;
	open_dns(f, f->false_server.port, NULL, true, true);
	f->dns->limit_ms = LIMIT;
}

/* Whatever it is that the name server does wrong, mail waits. */
static void test_manners(void **state)
{
	static const enum manner manners[] = { SERVFAIL, REFUSED, GARBAGE, TRUNCATED, SILENCE };
	struct fixture *f = *state;
	uint64_t began;

	for (size_t i = 0; i < sizeof(manners) / sizeof(manners[0]); i++) {
		ask_false_server(f, manners[i]);
		f->false_server.asked = 0;
		began = uv_now(&f->loop);
		look_up(f, "order.test");
		assert_int_equal(f->verdict.class, TEMP);
		assert_int_equal(f->verdict.code, 451);
		assert_true(str_eq(f->verdict.enhanced, S("4.4.3")));
		assert_true(str_search(f->verdict.text, S("order.test (MX)")) < f->verdict.text.n);
		assert_true(str_search(f->verdict.text, S("code")) == f->verdict.text.n); /* words, as "refuses" */
		assert_int_equal(f->n, 0);
		assert_true(f->false_server.asked > 0);
		assert_in_range(uv_now(&f->loop) - began, 0, 20000); /* the usual limit is 30 s */
	}
}

/* No MX, no A: but AAAA may come, so the domain is not refused. */
static void test_silent_family(void **state)
{
	struct fixture *f = *state;

	f->false_server.silent_aaaa = true;
	ask_false_server(f, EMPTY);
	look_up(f, "implicit.test");
	assert_true(str_eq(f->verdict.enhanced, S("4.4.3")));
	assert_true(str_search(f->verdict.text, S("(AAAA): time is over")) < f->verdict.text.n);
	assert_int_equal(f->n, 1);
	f->false_server.silent_aaaa = false;
	ask_false_server(f, EMPTY);
	look_up(f, "implicit.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.1.2")));
}

/* Nobody at that port: the kernel says so. */
static void test_nobody(void **state)
{
	struct fixture *f = *state;

	open_dns(f, f->false_server.port, NULL, true, true);
	uv_udp_recv_stop(&f->false_server.udp);
	uv_close((uv_handle_t *)&f->false_server.udp, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	f->dns->limit_ms = LIMIT;
	look_up(f, "order.test");
	assert_true(str_eq(f->verdict.enhanced, S("4.4.3")));
	uv_udp_init(&f->loop, &f->false_server.udp);
}

/* The server is back: so are the answers, without a new resolver. */
static void test_recovery(void **state)
{
	struct fixture *f = *state;

	ask_false_server(f, SILENCE);
	look_up(f, "one.test");
	assert_int_equal(f->verdict.class, TEMP);
	f->false_server.manner = EMPTY;
	f->dns->limit_ms = 10000;
	look_up(f, "two.test");
	assert_true(str_eq(f->verdict.enhanced, S("5.1.2")));
}

/* Name servers that drop what comes with EDNS: asked without; from then on at once. Not where only what was validated may be believed. */
static void test_without_edns(void **state)
{
	struct fixture *f = *state;
	uint64_t began;

	f->false_server.manner = PLAIN_ONLY;
	open_dns(f, f->false_server.port, NULL, true, true);
	look_up(f, "first.test");
	assert_int_equal(f->verdict.class, OK);
	assert_string_equal(address_list(f, 0), "192.0.2.7");
	began = uv_now(&f->loop);
	for (unsigned i = 0; i < 20; i++) {
		look_up(f, arena_cstr(&f->arena, arena_printf(&f->arena, "other%u.test", i)));
		assert_int_equal(f->verdict.class, OK);
	}
	assert_in_range(uv_now(&f->loop) - began, 0, 4000); /* one of them alone would take longer with the library */
	library_of(f)->plain_until = 0;
	library_of(f)->validates = true;
	f->dns->limit_ms = 7000;
	look_up(f, "validated.test");
	assert_int_equal(f->verdict.class, TEMP);
}

static void on_dead(void *ctx, struct verdict v, const struct dns_host *hosts, size_t n)
{
	assert_int_equal(v.class, TEMP);
	++*(volatile unsigned *)ctx;
}

/* A thousand names about which nothing is heard, and it goes on: another one is answered at once, then and after a while. */
static void test_dead_crowd(void **state)
{
	struct fixture *f = *state;
	volatile unsigned gone = 0;
	uint64_t began;

	f->false_server.manner = GOOD;
	open_dns(f, f->false_server.port, NULL, true, true);
	f->dns->limit_ms = 15000;
	for (unsigned i = 0; i < 1000; i++)
		dns_mx(f->dns, arena_printf(&f->arena, "dead%u.test", i), 25, NULL, on_dead, (void *)&gone);
	for (unsigned i = 0; gone < 1000; i++) {
		began = uv_now(&f->loop);
		look_up(f, arena_cstr(&f->arena, arena_printf(&f->arena, "good%u.test", i)));
		assert_int_equal(f->verdict.class, OK);
		assert_in_range(uv_now(&f->loop) - began, 0, 10000); /* 20 ms on an idle machine; the dead ones have 15 s */
		run_until(f, f->calls + 1, 3000);                    /* for a while */
	}
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct dns_lookup *l;

	ask_false_server(f, SILENCE);
	l = dns_mx(f->dns, S("before.test"), 25, NULL, on_hosts, f);
	dns_cancel(l); /* nothing was asked yet */
	l = dns_mx(f->dns, S("later.test"), 25, NULL, on_hosts, f);
	run_until(f, 1, 100);
	assert_true(f->false_server.asked > 0);
	dns_cancel(l);
	dns_cancel(NULL);
	assert_false(run_until(f, 1, LIMIT + 100));
	/* and with answers on their way */
	ask_false_server(f, SERVFAIL);
	l = dns_mx(f->dns, S("racing.test"), 25, NULL, on_hosts, f);
	uv_run(&f->loop, UV_RUN_ONCE);
	dns_cancel(l);
	assert_false(run_until(f, 1, 200));
}

/* Open look-ups die with the resolver; the teardown proves that nothing of them is left. */
static void test_close(void **state)
{
	struct fixture *f = *state;

	ask_false_server(f, SILENCE);
	for (unsigned i = 0; i < 50; i++)
		dns_mx(f->dns, arena_printf(&f->arena, "d%u.test", i), 25, NULL, on_hosts, f);
	run_until(f, 1, 100);
	for (unsigned i = 0; i < 5; i++)
		dns_mx(f->dns, S("unasked.test"), 25, NULL, on_hosts, f);
	dns_close(f->dns);
	f->dns = NULL;
	assert_false(run_until(f, 1, LIMIT + 100));
	dns_close(NULL);
}

static struct dns_lookup *other;

/* Everything is allowed within a callback. */
static void on_hosts_close(void *ctx, struct verdict v, const struct dns_host *hosts, size_t n)
{
	struct fixture *f = ctx;

	on_hosts(ctx, v, hosts, n);
	dns_cancel(other);
	dns_mx(f->dns, S("nobody.test"), 25, NULL, on_hosts, f);
	dns_close(f->dns);
	f->dns = NULL;
	assert_true(str_eq(hosts[0].name, S("m1.test"))); /* until it returns */
}

static void test_close_within(void **state)
{
	struct fixture *f = *state;

	open_dns(f, nsd_port(), NULL, true, true);
	dns_mx(f->dns, S("order.test"), 25, NULL, on_hosts_close, f);
	other = dns_mx(f->dns, S("mixedlame.test"), 25, NULL, on_hosts, f);
	assert_true(run_until(f, 1, 20000));
	assert_false(run_until(f, 2, 200));
}

/* Options that cannot be, each with a reason. */
static void test_refusals(void **state)
{
	static const struct {
		const char *resolver, *anchor, *says;
		bool ipv4;
	} bad[] = {
		{ "resolver.example", "", "the resolver \"resolver.example\" is no ADDRESS", true },
		{ "127.0.0.1@53 127.0.0.1@port", "", "\"127.0.0.1@port\"", true },
		{ "127.0.0.1", "/nonexistent/anchors", "/nonexistent/anchors cannot be read", true },
		{ "127.0.0.1", "/etc/passwd", "cannot be used", true },
		{ "127.0.0.1", "", "switched off", false },
	};
	struct fixture *f = *state;
	struct verdict why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dns_options o = { .resolver = str_of(bad[i].resolver),
					 .trust_anchor = str_of(bad[i].anchor),
					 .ipv4 = bad[i].ipv4 };

		assert_null(dns_open(&f->loop, &o, &f->arena, &why));
		assert_int_equal(why.class, PERM);
		if (str_search(why.text, str_of(bad[i].says)) == why.text.n)
			fail_msg("%s: %.*s", bad[i].says, STR_ARG(why.text));
	}
}

/* The other ways to ask can at least be set up; and a resolver that has nothing to do does not keep the loop alive. */
static void test_modes(void **state)
{
	static const char *const modes[] = { "", "recursive", "127.0.0.1 ::1@5353  192.0.2.53@53" };
	struct fixture *f = *state;
	struct verdict why;

	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct dns_options o = { .resolver = str_of(modes[i]), .ipv4 = true, .ipv6 = i != 1 };

		f->dns = dns_open(&f->loop, &o, &f->arena, &why);
		if (!f->dns)
			fail_msg("%s: %.*s", modes[i], STR_ARG(why.text));
		look_up(f, "localhost");
		assert_int_equal(f->verdict.class, OK);
		assert_int_equal(uv_run(&f->loop, UV_RUN_NOWAIT), 0);
		dns_close(f->dns);
		f->dns = NULL;
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_manners, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_silent_family, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_nobody, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_recovery, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_without_edns, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_dead_crowd, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_cancel, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_close, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_close_within, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refusals, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_modes, fixture_setup, fixture_teardown),
	};
	int failed;

	if (argc != 3)
		return 2;
	nsd_start(argv[1], argv[2]);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	nsd_stop();
	return failed;
}
