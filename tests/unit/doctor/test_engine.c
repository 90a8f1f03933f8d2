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

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_name), cmocka_unit_test(test_domains) };

	return cmocka_run_group_tests_name("doctor_engine", tests, fixture_open, fixture_close);
}
