/* test_validation.c - do name servers pass on what validation needs? nsd with a signed root zone, and name servers that strip, refuse
 * and say nothing. Arguments: the program nsd, the directory of the zones. */
#include "fixture.h"

#include <stdio.h>

static const char *zones;

struct heard {
	unsigned calls;
	enum dns_validation result;
};

static void on_probed(void *ctx, enum dns_validation result, struct str why)
{
	struct heard *h = ctx;

	h->calls++;
	h->result = result;
}

static struct dns_library *open_library(struct fixture *f, unsigned port, const char *anchor)
{
	struct dns_options options = { .resolver = arena_printf(&f->arena, "127.0.0.1@%u", port),
				       .trust_anchor = arena_printf(&f->arena, "%s/%s", zones, anchor),
				       .ipv4 = true,
				       .ipv6 = true };
	struct verdict why;
	struct dns_library *d = dns_library_open(&f->loop, &options, &f->arena, &why);

	if (!d)
		fail_msg("%.*s", STR_ARG(why.text));
	assert_true(dns_library_validates(d));
	return d;
}

static void check(struct fixture *f, unsigned port, const char *anchor, uint64_t limit_ms, enum dns_validation expected)
{
	struct dns_library *d = open_library(f, port, anchor);
	struct heard h = { 0 };

	dns_probe_validation(d, limit_ms, on_probed, &h);
	assert_int_equal(h.calls, 0);
	RUN_UNTIL(&f->loop, h.calls > 0);
	dns_library_close(d);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(h.calls, 1);
	assert_int_equal(h.result, expected);
}

static void test_signed_root(void **state)
{
	check(*state, nsd_port(), "root-anchor", 10000, DNS_VALIDATES);
}

/* As with a root key that is too old, and with a forged root. */
static void test_another_key(void **state)
{
	check(*state, nsd_port(), "other-root-anchor", 10000, DNS_STRIPPED);
}

static void test_answers_without_signatures(void **state)
{
	struct fixture *f = *state;

	f->false_server.manner = EMPTY;
	check(f, f->false_server.port, "root-anchor", 10000, DNS_STRIPPED);
}

static void test_refusal(void **state)
{
	struct fixture *f = *state;

	f->false_server.manner = REFUSED;
	check(f, f->false_server.port, "root-anchor", 10000, DNS_STRIPPED);
}

static void test_silence(void **state)
{
	struct fixture *f = *state;

	f->false_server.manner = SILENCE;
	check(f, f->false_server.port, "root-anchor", 200, DNS_SILENT);
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;
	struct dns_library *d = open_library(f, nsd_port(), "root-anchor");
	struct heard h = { 0 };

	dns_probe_cancel(dns_probe_validation(d, 5000, on_probed, &h));
	dns_probe_validation(d, 5000, on_probed, &h);
	dns_probe_cancel(NULL);
	dns_probe_cancel(dns_probe_validation(d, 5000, on_probed, &h));
	RUN_UNTIL(&f->loop, h.calls > 0);
	dns_library_close(d);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_int_equal(h.calls, 1);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_signed_root, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_another_key, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_answers_without_signatures, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_refusal, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_silence, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_cancel, fixture_setup, fixture_teardown),
	};
	int failed;

	if (argc != 3)
		return 2;
	zones = argv[2];
	nsd_has_root = true;
	nsd_start(argv[1], zones);
	failed = cmocka_run_group_tests_name("dns validation", tests, NULL, NULL);
	nsd_stop();
	return failed;
}
