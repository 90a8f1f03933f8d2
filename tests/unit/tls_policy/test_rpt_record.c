/* test_rpt_record.c - TXT records at _smtp._tls (RFC 8460 3): which count, and where they have reports sent. */
#include "unit.h"

#include "posthouse/tls_policy.h"

#include <stdio.h>

/* `texts`: TXT records, with "|" between. `want`: the places, with a space behind each. fault: a part of it; "": none. */
static const struct row {
	const char *texts, *want, *fault;
} rows[] = {
	{ "v=TLSRPTv1;rua=mailto:reports@example.com", "mailto:reports@example.com ", "" },
	{ "v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", "https://reporting.example.com/v1/tlsrpt ", "" },
	{ "v=TLSRPTv1; rua=mailto:a@b.test , https://c.test/d?e=f;", "mailto:a@b.test https://c.test/d?e=f ", "" },
	{ "v=TLSRPTv1 ;rua=mailto:a@b.test", "mailto:a@b.test ", "" },
	{ "v=TLSRPTv1;\trua=MAILTO:a@b.test; ", "mailto:a@b.test ", "" },
	/* unknown fields are ignored */
	{ "v=TLSRPTv1; x-new.field_1=!any:thing?; rua=mailto:a@b.test; rub=mailto:c@d.test", "mailto:a@b.test ", "" },
	{ "v=TLSRPTv1; rua=mailto:a@b.test; rua=mailto:c@d.test", "mailto:a@b.test mailto:c@d.test ", "" },
	/* RFC 6068 2: what is no part of an address is encoded, and a header is ours to write */
	{ "v=TLSRPTv1; rua=mailto:a%2Bb%21c%2cd@b.test?subject=x", "mailto:a+b!c,d@b.test ", "" },
	{ "v=TLSRPTv1; rua=https://b.test/%2C%3b", "https://b.test/%2C%3b ", "" },
	/* one place that is none does not spoil the others */
	{ "v=TLSRPTv1; rua=mailto:a@b.test,http://c.test/", "mailto:a@b.test ", "neither mailto: nor https" },
	{ "v=TLSRPTv1; rua=mailto:a@b.test!10m,mailto:c@d.test", "mailto:c@d.test ", "must be written with %" },
	/* each place once, however often it is named */
	{ "v=TLSRPTv1; rua=mailto:a@b.test,mailto:A%40b.test; rua=https://c.test/,https://c.test/",
	  "mailto:a@b.test https://c.test/ ", "is there twice" },
	{ "v=TLSRPTv1; what; rua=mailto:a@b.test", "mailto:a@b.test ", "\"what\" is no field" },
	{ "v=TLSRPTv1;; rua=mailto:a@b.test", "mailto:a@b.test ", "nothing between two" },
	/* places that are none */
	{ "v=TLSRPTv1; rua=mailto:", "", "no place" },
	{ "v=TLSRPTv1; rua=mailto:a", "", "no place" },
	{ "v=TLSRPTv1; rua=mailto:@b.test", "", "no place" },
	{ "v=TLSRPTv1; rua=mailto:a@", "", "no place" },
	{ "v=TLSRPTv1; rua=mailto:a%0d%0aDATA@b.test", "", "no place" },
	{ "v=TLSRPTv1; rua=mailto:a%00@b.test", "", "no place" },
	{ "v=TLSRPTv1; rua=mailto:a%4@b.test", "", "no place" },
	{ "v=TLSRPTv1; rua=https://", "", "no place" },
	{ "v=TLSRPTv1; rua=https:///path", "", "no place" },
	{ "v=TLSRPTv1; rua=https://user:secret@b.test/", "", "no place" },
	{ "v=TLSRPTv1; rua=https://b.test/%zz", "", "no place" },
	{ "v=TLSRPTv1; rua=https://b.test/a b", "", "must be written with %" },
	{ "v=TLSRPTv1; rua=", "", "no rua=" },
	{ "v=TLSRPTv1; x=y", "", "no rua=" },
	{ "v=TLSRPTv1;", "", "no rua=" },
	/* records of another kind do not count */
	{ "v=TLSRPTv1", "", "no v=TLSRPTv1;" },
	{ "v=tlsrptv1; rua=mailto:a@b.test", "", "no v=TLSRPTv1;" },
	{ "v=TLSRPTv12; rua=mailto:a@b.test", "", "no v=TLSRPTv1;" },
	{ " v=TLSRPTv1; rua=mailto:a@b.test", "", "no v=TLSRPTv1;" },
	{ "some text|v=TLSRPTv2; rua=mailto:c@d.test|v=TLSRPTv1; rua=mailto:a@b.test", "mailto:a@b.test ", "" },
	{ "v=TLSRPTv1; rua=mailto:a@b.test|v=TLSRPTv1; rua=mailto:a@b.test", "", "several" },
	{ "", "", "" },
};

/* What is behind a zero is looked at too: no other program ends the text there. */
static void test_a_zero(void **state)
{
	static char text[] = "v=TLSRPTv1; rua=https://b.test\0.c.test/";
	struct arena a = { 0 };
	struct str at = str_make(text, sizeof text - 1);
	struct rpt_record record;

	rpt_record_read(&a, (struct str_list){ &at, 1 }, &record);
	assert_int_equal(record.n, 0);
	arena_fini(&a);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct arena a = { 0 };
		struct str rest = str_of(rows[i].texts), texts[4], got = S("");
		struct str_list list = { texts, 0 };
		struct rpt_record record;

		while (str_split(&rest, '|', &texts[list.n]))
			list.n++;
		rpt_record_read(&a, list, &record);
		for (size_t j = 0; j < record.n; j++)
			got = arena_printf(&a, "%.*s%s%.*s ", STR_ARG(got),
					   record.at[j].https ? "" : "mailto:", STR_ARG(record.at[j].target));
		if (!str_eq(got, str_of(rows[i].want)) ||
		    (*rows[i].fault ? str_search(record.fault, str_of(rows[i].fault)) == record.fault.n : record.fault.n > 0)) {
			printf("# %s\n# places %.*s, fault %.*s\n", rows[i].texts, STR_ARG(got), STR_ARG(record.fault));
			fail();
		}
		arena_fini(&a);
	}
}

/* A record with very many places: the first ones count. */
static void test_bound(void **state)
{
	struct arena a = { 0 };
	struct str text = S("v=TLSRPTv1; rua=mailto:a@b.test");
	struct rpt_record record;

	for (int i = 0; i < 100; i++)
		text = arena_printf(&a, "%.*s,mailto:a%d@b.test", STR_ARG(text), i);
	rpt_record_read(&a, (struct str_list){ &text, 1 }, &record);
	assert_int_equal(record.n, RPT_URIS_MAX);
	assert_true(record.fault.n > 0);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_a_zero),
					    cmocka_unit_test(test_bound) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
