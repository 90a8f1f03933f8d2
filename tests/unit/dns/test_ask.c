/* test_ask.c - questions of any type against a real name server: nsd with test.zone. Arguments: the program nsd, the directory of
 * the zones. */
#include "fixture.h"

#include <stdio.h>

static const char *zones;

struct asked {
	struct fixture *f;
	struct dns_found found;
	struct dns_record records[4];
	bool done;
};

static void on_found(void *ctx, const struct dns_found *found)
{
	struct asked *k = ctx;
	struct arena *a = &k->f->arena;

	assert_false(k->done);
	k->done = true;
	k->found = *found;
	k->found.why = arena_str(a, found->why);
	k->found.end = arena_str(a, found->end);
	for (size_t i = 0; i < found->n && i < 4; i++) {
		k->records[i] = *found->records[i];
		k->records[i].name = arena_str(a, found->records[i]->name);
		k->records[i].data = arena_str(a, found->records[i]->data);
	}
}

static struct asked ask(struct fixture *f, const char *name, unsigned type)
{
	struct asked k = { .f = f };

	dns_ask(f->dns, str_of(name), type, 5000, on_found, &k);
	RUN_UNTIL(&f->loop, k.done);
	return k;
}

static void test_types(void **state)
{
	struct fixture *f = *state;
	struct asked k;

	open_dns(f, nsd_port(), NULL, true, true);
	k = ask(f, "txtalias.test", DNS_TXT);
	assert_int_equal(k.found.verdict.class, OK);
	assert_int_equal(k.found.n, 2);
	assert_true(str_eq(k.found.end, S("txt.test")));
	assert_int_equal(k.found.ttl, 300);
	assert_true(str_eq(k.records[0].data, S("\7v=spf1 \6"
						"a -all")) ||
		    str_eq(k.records[1].data, S("\7v=spf1 \6"
						"a -all")));
	k = ask(f, "_Submission._tcp.srv.TEST", DNS_SRV);
	assert_int_equal(k.found.n, 1);
	assert_int_equal(k.records[0].preference, 5);
	assert_int_equal(k.records[0].port, 587);
	assert_true(str_eq(k.records[0].name, S("m1.test")));
	k = ask(f, "caa.test", DNS_CAA);
	assert_int_equal(k.found.n, 1);
	assert_true(str_eq(k.records[0].data, S("\0\5issue"
						"ca.example")));
	k = ask(f, "_25._tcp.m1.test", DNS_TLSA);
	assert_int_equal(k.records[0].data.n, 35);
	k = ask(f, "1.2.0.192.rev.test", DNS_PTR);
	assert_true(str_eq(k.records[0].name, S("m1.test")));
	k = ask(f, "test", DNS_SOA);
	assert_int_equal(k.records[0].serial, 1);
	assert_true(str_eq(k.records[0].name, S("ns.test")));
}

static void test_nothing(void **state)
{
	struct fixture *f = *state;
	struct asked k;

	open_dns(f, nsd_port(), NULL, true, true);
	k = ask(f, "missing.test", DNS_TXT);
	assert_int_equal(k.found.verdict.class, OK);
	assert_false(k.found.exists);
	assert_int_equal(k.found.ttl, 300); /* of the SOA */
	k = ask(f, "m1.test", DNS_TXT);
	assert_true(k.found.exists);
	assert_int_equal(k.found.n, 0);
	assert_true(str_eq(k.found.end, S("m1.test")));
	k = ask(f, "elsewhere.example", DNS_TXT);
	assert_int_equal(k.found.verdict.class, TEMP);
	assert_true(k.found.why.n > 0);
	k = ask(f, "a..test", DNS_TXT);
	assert_true(str_eq(k.found.why, S("it is no name")));
	k = ask(f, "", DNS_TXT);
	assert_int_equal(k.found.verdict.class, TEMP);
}

static void test_bogus(void **state)
{
	struct fixture *f = *state;
	struct asked k;
	char anchors[4096];

	snprintf(anchors, sizeof(anchors), "%s/anchors", zones);
	open_dns(f, nsd_port(), anchors, true, true);
	k = ask(f, "bogus.test", DNS_MX);
	assert_int_equal(k.found.verdict.class, TEMP);
	assert_true(k.found.bogus);
	k = ask(f, "signed.test", DNS_MX);
	assert_true(k.found.secure);
}

/* A server that never answers: the callback comes when the time is over. */
static void test_silence(void **state)
{
	struct fixture *f = *state;
	struct asked k = { .f = f };

	f->false_server.manner = SILENCE;
	open_dns(f, f->false_server.port, NULL, true, true);
	dns_ask(f->dns, S("m1.test"), DNS_A, 300, on_found, &k);
	RUN_UNTIL(&f->loop, k.done);
	assert_true(str_eq(k.found.why, S("time is over")));
}

/* A question that is cancelled, or whose resolver is closed, has no callback. */
static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct asked k = { .f = f };

	open_dns(f, nsd_port(), NULL, true, true);
	dns_cancel(dns_ask(f->dns, S("m1.test"), DNS_A, 5000, on_found, &k));
	dns_ask(f->dns, S("m2.test"), DNS_A, 5000, on_found, &k);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	dns_close(f->dns);
	f->dns = NULL;
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_false(k.done);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_types, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_nothing, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_bogus, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_silence, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_cancel, fixture_setup, fixture_teardown),
	};
	int failed;

	if (argc != 3)
		return 2;
	zones = argv[2];
	nsd_start(argv[1], zones);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	nsd_stop();
	return failed;
}
