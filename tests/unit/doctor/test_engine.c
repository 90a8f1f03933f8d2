/* test_engine.c - the engine of doctor: whose answer counts, what is judged, what findings mean together. */
#include "table.h"

static void test_name(void **state)
{
	plant("hostname = \"relay.lan\"; postmaster = \"p@example.org\"; " CERT DIRECT, "", "name.form", DOCTOR_FAILURE,
	      "relay.lan is a name of private networks only");
	plant("hostname = \"relay.lan\"; postmaster = \"p@example.org\"; " CERT BASICS_UPSTREAM, "", "name.form", DOCTOR_ADVICE,
	      "hostname = \"relay.example.org\";");
	plant(DIRECT, "", "name.form", DOCTOR_OK, "");
}

static void test_domains(void **state)
{
	struct table *t = table_new(
		DIRECT "senders = ( { user = \"a\"; addresses = [ \"a@one.test\", \"@two.test\", \"*\", \"@.three.test\" ]; } );"
		       "rewrite = ( { sender = \"@two.test\"; to = \"@four.test\"; } );" BASICS_UPSTREAM
		       "routes = ( { senders = [ \"@one.test\" ]; via = [ \"isp\" ]; }, { via = [ \"isp\", \"mx\" ]; } );");
	const struct situation *s;

	table_run(t);
	s = doctor_situation(table_doctor(t));
	assert_int_equal(s->domains_n, 3);
	assert_string_equal(arena_cstr(doctor_arena(table_doctor(t)), s->domains[0].name), "one.test");
	assert_true(s->domains[0].by_upstream && !s->domains[0].by_mx);
	assert_int_equal(s->domains[0].senders.n, 1);
	assert_true(str_eq(s->domains[1].name, S("four.test")));
	assert_true(s->domains[1].by_mx && s->domains[1].by_upstream);
	assert_true(str_eq(s->domains[2].name, S("example.org")));
	assert_true(s->mx && s->upstream && s->mx_is_spare);
	assert_int_equal(s->addresses_n, 2);
	assert_true(str_eq(s->addresses_from, S("doctor.addresses")));
	table_free(t);
}

/* What is wrong in a cache but right at the domain's own servers needs nothing but time. */
static void test_own_servers(void **state)
{
	struct table *t = table_new(DIRECT);

	table_replaced(t, "");
	table_view(t, VIEW_WORLD, "relay.example.org A 203.0.113.99");
	table_view(t, VIEW_CLIENTS, "relay.example.org A 203.0.113.99");
	table_run(t);
	expect(t, "name.source", DOCTOR_OK, "seen everywhere within 5 min");
	expect_silent(t, "name.*");
	table_free(t);
	/* the own servers cannot be asked: the world counts */
	t = table_new(DIRECT);
	table_replaced(t, "");
	table_view(t, VIEW_WORLD, "relay.example.org A 203.0.113.99");
	table_view(t, VIEW_OWN, "relay.example.org SERVFAIL");
	table_run(t);
	expect(t, "name.source", DOCTOR_FAILURE, "203.0.113.25");
	table_free(t);
}

static void test_ignored(void **state)
{
	static const char world[] = "203.0.113.25 PTR x.dyn.isp.test\nx.dyn.isp.test A 203.0.113.25";
	struct table *t = table_new("doctor = { addresses = [ \"203.0.113.25\" ]; ignore = [ \"ptr.name\", "
				    "\"ptr.generic:203.0.113.25\" ]; }; auth = { realm = \"example.org\"; };");

	table_replaced(t, world);
	table_run(t);
	expect(t, "ptr.name", DOCTOR_IGNORED, "x.dyn.isp.test");
	expect(t, "ptr.generic", DOCTOR_IGNORED, "x.dyn.isp.test");
	table_free(t);
}

/* A fault that only a fail-over to direct delivery would meet is a warning. */
static void test_spare(void **state)
{
	plant(DIRECT BASICS_UPSTREAM "routes = ( { via = [ \"isp\", \"mx\" ]; } );", "!203.0.113.25 TXT x", "ptr.exists",
	      DOCTOR_WARNING, "203.0.113.25 has no reverse name");
}

static void test_selection(void **state)
{
	struct table *t = table_new(DIRECT);
	struct str only[] = { S("ptr"), S("name.a*") };
	size_t n;
	const struct doctor_finding *f;

	table_replaced(t, "203.0.113.25 TXT x");
	table_options(t)->only = (struct str_list){ only, 2 };
	table_run(t);
	f = doctor_findings(table_doctor(t), &n);
	for (size_t i = 0; i < n; i++)
		assert_true(f[i].check == CHECK_NAME_ADDRESS || f[i].check == CHECK_NAME_APEX ||
			    str_starts(str_of(doctor_check_id(f[i].check)), S("ptr.")));
	expect(t, "ptr.name", DOCTOR_SKIPPED, "ptr.exists");
	table_free(t);
	/* the cause is told, and counts, also when it was not asked for */
	t = table_new(DIRECT "senders = ( { user = \"a\"; addresses = [ \"@gone.test\" ]; } );");
	table_only(t, "dkim.*");
	table_replaced(t, "");
	table_run(t);
	expect(t, "dkim.key", DOCTOR_SKIPPED, "domain.exists");
	expect(t, "domain.exists", DOCTOR_FAILURE, "does not exist");
	f = doctor_findings(table_doctor(t), &n);
	for (size_t i = 0; i < n; i++)
		assert_true(str_starts(str_of(doctor_check_id(f[i].check)), S("dkim.")) || str_eq(f[i].domain, S("gone.test")));
	table_free(t);
	t = table_new(DIRECT);
	table_options(t)->offline = true;
	table_run(t);
	expect(t, "name.form", DOCTOR_OK, "");
	f = doctor_findings(table_doctor(t), &n);
	for (size_t i = 0; i < n; i++)
		assert_false(str_starts(str_of(doctor_check_id(f[i].check)), S("ptr.")));
	table_free(t);
}

/* No more time: nothing is asked, and what is not known is unknown. */
static void test_no_time(void **state)
{
	struct table *t = table_new(DIRECT);

	table_replaced(t, "");
	table_stop(t);
	expect(t, "name.address", DOCTOR_UNKNOWN, "time is over");
	expect(t, "domain.exists", DOCTOR_UNKNOWN, "time is over");
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_name),    cmocka_unit_test(test_domains), cmocka_unit_test(test_own_servers),
		cmocka_unit_test(test_ignored), cmocka_unit_test(test_spare),   cmocka_unit_test(test_selection),
		cmocka_unit_test(test_no_time),
	};

	return cmocka_run_group_tests_name("doctor_engine", tests, fixture_open, fixture_close);
}
