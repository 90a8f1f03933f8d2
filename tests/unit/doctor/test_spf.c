/* test_spf.c - the checks of SPF: each planted fault with its words and the one record that mends it, and silence where all is well. */
#include "table.h"

#include "posthouse/records.h"

#define FOUR      "203.0.113.25"
#define OURS      "ip4:203.0.113.25 ip6:2001:db8::25"
#define D         "!example.org SOA 1\nexample.org NS ns.example.org\nexample.org TXT "
#define WORKSPACE "upstreams = ( { name = \"isp\"; profile = \"google-workspace\"; login = \"a@b.test\"; password = \"x\"; } ); "
#define GOOGLE    "_spf.google.com TXT v=spf1 ip4:192.0.2.0/24 ~all\nsmtp.gmail.com A 192.0.2.99\n"
#define REALM     "auth = { realm = \"example.org\"; }; "
#define ISP       "smtp.isp.example A 192.0.2.1\nisp.example TXT v=spf1 ip4:192.0.2.0/28 -all\n"

struct fault {
	const char *config, *records, *id;
	enum doctor_result result;
	const char *words, *value; /* value: of the record that is proposed; NULL: none is looked at */
};

/* The rows of WORLD for names that `records` has are replaced by them when it begins with '!'; see plant(). */
static struct table *run(const char *config, const char *records)
{
	struct table *t = table_new(config);

	table_only(t, "spf.*");
	table_world(t, records);
	table_run(t);
	return t;
}

/* One cause, one finding: no other check of SPF says failure or warning. */
static void expect_alone(struct table *t, const struct fault *row)
{
	size_t n;
	const struct doctor_finding *f = doctor_findings(table_doctor(t), &n);

	for (size_t i = 0; i < n; i++) {
		const char *id = doctor_check_id(f[i].check);

		if (strncmp(id, "spf.", 4) == 0 && strcmp(id, row->id) != 0 &&
		    (f[i].result == DOCTOR_FAILURE || f[i].result == DOCTOR_WARNING || f[i].result == DOCTOR_UNKNOWN))
			fail_msg("%s: %s too says \"%.*s\"", row->records, id, STR_ARG(f[i].text));
	}
}

static void check(const struct fault *row)
{
	struct table *t = run(row->config, row->records);
	const struct doctor_finding *f = expect(t, row->id, row->result, row->words);

	if (row->value) {
		assert_int_equal(f->remedy.records_n, 1);
		if (!str_eq(f->remedy.records[0].value, str_of(row->value)))
			fail_msg("%s: proposes %.*s, not %s", row->records, STR_ARG(f->remedy.records[0].value), row->value);
	}
	expect_alone(t, row);
	table_free(t);
}

static void check_all(const struct fault *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&rows[i]);
}
#define CHECK_ALL(rows) check_all((rows), sizeof(rows) / sizeof((rows)[0]))

static void good(void **state)
{
	static const char *const worlds[][2] = {
		{ DIRECT, "" },
		{ DIRECT, D "v=spf1 " OURS " mx include:t.test ~all\nt.test TXT v=spf1 ip4:9.9.9.9 -all" },
		{ DIRECT, D "v=spf1 a:relay.example.org -all" },
		{ DIRECT, D "v=spf1 ip4:203.0.113.0/24 ip6:2001:db8::/32 -all\nexample.org TXT google-site-verification=x" },
		{ DIRECT, D "\"v=spf1 ip4:203.0.113.25 \" \"ip6:2001:db8::25 -all\"" },
		{ DIRECT, D "\"v=spf1 ip4:203.0.113.2\" \"5 ip6:2001:db8::25 -all\"" },
		{ DIRECT, D "v=spf1 redirect=_spf.example.org\n_spf.example.org TXT v=spf1 " OURS " -all" },
		{ DIRECT "senders = ( { user = \"a\"; addresses = [ \"a@example.org\" ]; } ); ",
		  D "v=spf1 exists:%{i}._spf.%{d} -all\n203.0.113.25._spf.example.org A 127.0.0.2\n"
		    "2.0.0.1.0.d.b.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.2.5._spf.example.org A 127.0.0.2" },
		{ REALM WORKSPACE, D "v=spf1 include:_spf.google.com ~all\n" GOOGLE },
		{ REALM WORKSPACE, D "v=spf1 include:t.test ~all\nt.test TXT v=spf1 include:_spf.google.com -all\n" GOOGLE },
		{ REALM BASICS_UPSTREAM, D "v=spf1 include:isp.example ~all\n" ISP },
		{ REALM BASICS_UPSTREAM, D "v=spf1 ip4:192.0.2.1 ~all\n" ISP },
	};

	for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
		struct table *t = run(worlds[i][0], worlds[i][1]);

		expect_silent(t, "spf.*");
		expect(t, "spf.record", DOCTOR_OK, "");
		table_free(t);
	}
}

static void records(void **state)
{
	static const struct fault rows[] = {
		{ DIRECT, D "nothing of SPF", "spf.record", DOCTOR_FAILURE, "has no SPF record", "v=spf1 " OURS " ~all" },
		{ DIRECT "sign = ( { domain = \"example.org\"; selector = \"s\"; key = \"rsa.key\"; } ); ", D "nothing of SPF",
		  "spf.record", DOCTOR_WARNING, "has no SPF record", "v=spf1 " OURS " ~all" },
		{ REALM WORKSPACE, D "nothing of SPF\n" GOOGLE, "spf.record", DOCTOR_WARNING, "has no SPF record",
		  "v=spf1 include:_spf.google.com ~all" },
		{ DIRECT, D "v=spf1 mx -all\nexample.org TXT v=spf1 a -all", "spf.record", DOCTOR_FAILURE, "has 2 SPF records",
		  "v=spf1 " OURS " mx a -all" },
		{ DIRECT, D "v=spf1 ip5:1.2.3.4 mx -all", "spf.record", DOCTOR_FAILURE, "character 8, \"ip5:1.2.3.4\"",
		  "v=spf1 " OURS " mx -all" },
		{ DIRECT, D "v=spf1; mx; -all", "spf.record", DOCTOR_FAILURE, "a blank has to follow",
		  "v=spf1 " OURS " mx -all" },
		{ DIRECT, D "\" v=spf1 mx -all\"", "spf.record", DOCTOR_FAILURE, "a blank in front", "v=spf1 " OURS " mx -all" },
		{ DIRECT, D "'v=spf1 mx -all'", "spf.record", DOCTOR_FAILURE, "quotes inside", NULL },
		{ DIRECT, D "v=spf2 mx -all", "spf.record", DOCTOR_FAILURE, "does not begin with v=spf1", NULL },
		{ DIRECT, "!example.org SPF v=spf1 " OURS " -all\nexample.org MX 10 mx.mailbox.test", "spf.record",
		  DOCTOR_FAILURE, "type SPF (99)", NULL },
		{ DIRECT, D "nothing of SPF\nspf.example.org TXT v=spf1 " OURS " -all", "spf.record", DOCTOR_FAILURE,
		  "at spf.example.org, where nobody looks", NULL },
		{ DIRECT, D "nothing of SPF\nexample.org.example.org TXT v=spf1 " OURS " -all", "spf.record", DOCTOR_FAILURE,
		  "at example.org.example.org", NULL },
		{ DIRECT, D "\"v=spf1 " OURS " include:t.test\" \"-all\"\nt.test TXT v=spf1 -all", "spf.record", DOCTOR_FAILURE,
		  "no blank before \"-all\"", "v=spf1 " OURS " include:t.test -all" },
		{ DIRECT, D "\"v=spf1\" \"ip4:203.0.113.25 -all\"", "spf.record", DOCTOR_FAILURE, "no blank behind v=spf1",
		  NULL },
		{ DIRECT, D "SERVFAIL", "spf.record", DOCTOR_OK, "", NULL },
		{ DIRECT "senders = ( { user = \"a\"; addresses = [ \"a@example.org\", \"a@news.example.org\" ]; } ); ",
		  "news.example.org MX 10 mx.mailbox.test", "spf.record", DOCTOR_ADVICE, "has no SPF record",
		  "v=spf1 " OURS " ~all" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].records, D "SERVFAIL") != 0)
			check(&rows[i]);
	plant(DIRECT, "!example.org SERVFAIL", "spf.record", DOCTOR_UNKNOWN, "server failure");
}

/* Both addresses are missing in the same record: it is published once. */
static void test_one_record(void)
{
	struct table *t = table_new(DIRECT);
	const struct doctor_finding *v4, *v6;

	table_only(t, "spf.pass");
	table_world(t, D "v=spf1 ip4:198.51.100.1 -all");
	table_run(t);
	v4 = expect(t, "spf.pass", DOCTOR_FAILURE, "203.0.113.25 gets");
	v6 = expect(t, "spf.pass", DOCTOR_FAILURE, "2001:db8::25 gets");
	assert_null(doctor_same_records(table_doctor(t), v4));
	assert_ptr_equal(doctor_same_records(table_doctor(t), v6), v4);
	table_free(t);
}

static void passes(void **state)
{
	static const struct fault rows[] = {
		{ DIRECT, D "v=spf1 ip4:198.51.100.1 ip6:2001:db8::25 -all", "spf.pass", DOCTOR_FAILURE,
		  "203.0.113.25 gets \"fail\"", "v=spf1 ip4:203.0.113.25 ip4:198.51.100.1 ip6:2001:db8::25 -all" },
		{ DIRECT, D "v=spf1 ip4:203.0.113.25 ~all", "spf.pass", DOCTOR_FAILURE, "2001:db8::25 gets \"softfail\"",
		  "v=spf1 ip6:2001:db8::25 ip4:203.0.113.25 ~all" },
		{ DIRECT, D "v=spf1 -ip4:203.0.113.0/24 ip6:2001:db8::25 -all", "spf.pass", DOCTOR_FAILURE,
		  "by \"-ip4:203.0.113.0/24\"", NULL },
		{ DIRECT, D "v=spf1 " OURS " -all", "spf.pass", DOCTOR_OK, "by \"ip6:2001:db8::25\"", NULL },
		/* only one of the senders is in the list */
		{ DIRECT "senders = ( { user = \"a\"; addresses = [ \"a@example.org\", \"b@example.org\" ]; } ); ",
		  D "v=spf1 exists:%{l}._spf.%{d} -all\na._spf.example.org A 127.0.0.2", "spf.pass", DOCTOR_FAILURE,
		  "sender b@example.org", "v=spf1 " OURS " exists:%{l}._spf.%{d} -all" },
	};

	CHECK_ALL(rows);
	test_one_record();
	plant(DIRECT, D "v=spf1 a:t.test -all\nt.test SERVFAIL", "spf.pass", DOCTOR_UNKNOWN, "no answer for t.test");
	plant(DIRECT, D "v=spf1 mx ?all", "spf.pass", DOCTOR_WARNING, "gets \"neutral\"");
}

#define TEN "a:1.t.test a:2.t.test a:3.t.test a:4.t.test a:5.t.test a:6.t.test a:7.t.test a:8.t.test a:9.t.test a:10.t.test "
#define TEN_HOSTS                                                                                                                \
	"1.t.test A 9.9.9.1\n2.t.test A 9.9.9.1\n3.t.test A 9.9.9.1\n4.t.test A 9.9.9.1\n5.t.test A 9.9.9.1\n"                   \
	"6.t.test A 9.9.9.1\n7.t.test A 9.9.9.1\n8.t.test A 9.9.9.1\n9.t.test A 9.9.9.1\n10.t.test A 9.9.9.1\n"                  \
	"1.t.test AAAA 9::1\n2.t.test AAAA 9::1\n3.t.test AAAA 9::1\n4.t.test AAAA 9::1\n5.t.test AAAA 9::1\n"                   \
	"6.t.test AAAA 9::1\n7.t.test AAAA 9::1\n8.t.test AAAA 9::1\n9.t.test AAAA 9::1\n10.t.test AAAA 9::1\n"

static void lookups(void **state)
{
	static const struct fault rows[] = {
		{ DIRECT, D "v=spf1 " TEN "a:1.t.test " OURS " -all\n" TEN_HOSTS, "spf.lookups", DOCTOR_FAILURE,
		  "needs 11 look-ups", NULL },
		{ DIRECT, D "v=spf1 " OURS " " TEN "a:1.t.test -all\n" TEN_HOSTS, "spf.lookups", DOCTOR_WARNING,
		  "needs 11 look-ups", NULL },
		{ DIRECT, D "v=spf1 " OURS " " TEN "-all\n" TEN_HOSTS, "spf.lookups", DOCTOR_ADVICE, "needs 10 of the 10", NULL },
		{ DIRECT,
		  D "v=spf1 " OURS " include:u.test include:v.test -all\nu.test TXT v=spf1 " TEN "-all\n"
		    "v.test TXT v=spf1 ip4:9.9.9.9 -all\n" TEN_HOSTS,
		  "spf.lookups", DOCTOR_WARNING, "10  a:9.t.test", NULL },
		{ DIRECT, D "v=spf1 a:x.test a:y.test a:z.test " OURS " -all", "spf.lookups", DOCTOR_FAILURE, "3 look-ups",
		  NULL },
		{ DIRECT,
		  D "v=spf1 " OURS " mx:m.test -all\nm.test MX 1 a.m.test\nm.test MX 2 b.m.test\nm.test MX 3 c.m.test\n"
		    "m.test MX 4 d.m.test\nm.test MX 5 e.m.test\nm.test MX 6 f.m.test\nm.test MX 7 g.m.test\n"
		    "m.test MX 8 h.m.test\nm.test MX 9 i.m.test\nm.test MX 10 j.m.test\nm.test MX 11 k.m.test",
		  "spf.lookups", DOCTOR_FAILURE, "\"mx:m.test\" with 11 mail servers", NULL },
		{ REALM WORKSPACE, D "v=spf1 " TEN "include:_spf.google.com ~all\n" TEN_HOSTS GOOGLE, "spf.lookups",
		  DOCTOR_FAILURE, "needs 11 look-ups", NULL },
	};

	CHECK_ALL(rows);
}

static void includes(void **state)
{
	static const struct fault rows[] = {
		{ DIRECT, D "v=spf1 include:none.test " OURS " -all", "spf.include", DOCTOR_FAILURE,
		  "include:none.test leads to none.test, which has no SPF record", NULL },
		{ DIRECT, D "v=spf1 " OURS " include:t.test -all\nt.test TXT v=spf1 a\nt.test TXT v=spf1 mx", "spf.include",
		  DOCTOR_FAILURE, "t.test has 2 SPF records", NULL },
		{ DIRECT, D "v=spf1 " OURS " include:t.test -all\nt.test TXT v=spf1 foo -all", "spf.include", DOCTOR_FAILURE,
		  "\"foo\"", NULL },
		{ DIRECT, D "v=spf1 " OURS " include:t.test -all\nt.test TXT v=spf1 include:example.org -all", "spf.include",
		  DOCTOR_FAILURE, "circle", NULL },
		{ DIRECT, D "v=spf1 " OURS " include:t.test -all\nt.test TXT v=spf1 include:u.test -all", "spf.include",
		  DOCTOR_FAILURE, "include:u.test leads to u.test, which has no SPF record", NULL },
		{ DIRECT, D "v=spf1 " OURS " redirect=none.test", "spf.include", DOCTOR_FAILURE, "redirect=none.test", NULL },
		{ DIRECT, D "v=spf1 " OURS " redirect=t.test -all\nt.test TXT v=spf1 -all", "spf.include", DOCTOR_ADVICE,
		  "ignored beside", NULL },
		{ DIRECT, D "v=spf1 " OURS " ptr -all\n" FOUR " PTR relay.example.org", "spf.include", DOCTOR_ADVICE, "slow",
		  NULL },
	};

	CHECK_ALL(rows);
	plant(DIRECT, D "v=spf1 " OURS " include:t.test -all\nt.test SERVFAIL", "spf.include", DOCTOR_UNKNOWN, "include:t.test");
}

static void ends(void **state)
{
	static const struct fault rows[] = {
		{ DIRECT, D "v=spf1 " OURS " +all", "spf.all", DOCTOR_FAILURE, "everybody is allowed", "v=spf1 " OURS " ~all" },
		{ DIRECT, D "v=spf1 " OURS " all", "spf.all", DOCTOR_FAILURE, "everybody is allowed", "v=spf1 " OURS " ~all" },
		{ DIRECT, D "v=spf1 " OURS " ?all", "spf.all", DOCTOR_WARNING, "ends in ?all", "v=spf1 " OURS " ~all" },
		{ DIRECT, D "v=spf1 " OURS, "spf.all", DOCTOR_WARNING, "without an end", "v=spf1 " OURS " ~all" },
		{ DIRECT, D "v=spf1 " OURS " redirect=t.test\nt.test TXT v=spf1 +all", "spf.all", DOCTOR_FAILURE, "everybody",
		  NULL },
		{ DIRECT, D "v=spf1 " OURS " a/16 -all", "spf.all", DOCTOR_WARNING, "all customers of a hoster by \"a/16\"",
		  NULL },
		{ DIRECT, D "v=spf1 ip4:0.0.0.0/0 ip6:::/0 -all", "spf.all", DOCTOR_FAILURE, "allows everybody by", NULL },
	};

	CHECK_ALL(rows);
}

static void greeting(void **state)
{
	static const struct fault rows[] = {
		{ DIRECT, "!relay.example.org A 203.0.113.25\nrelay.example.org AAAA 2001:db8::25", "spf.helo", DOCTOR_WARNING,
		  "relay.example.org has no SPF record", "v=spf1 a -all" },
		{ DIRECT,
		  "!relay.example.org A 203.0.113.25\nrelay.example.org AAAA 2001:db8::25\nrelay.example.org TXT v=spf1 -all",
		  "spf.helo", DOCTOR_FAILURE, "gives \"fail\" to 203.0.113.25, by \"-all\"", "v=spf1 a -all" },
	};

	CHECK_ALL(rows);
	plant(DIRECT, "", "spf.helo", DOCTOR_OK, "");
	plant(DIRECT, "!relay.example.org A 203.0.113.25\nrelay.example.org TXT v=spf1 a -all", "spf.helo", DOCTOR_SKIPPED,
	      "name.source");
}

static void upstreams(void **state)
{
	static const struct fault rows[] = {
		{ REALM WORKSPACE, D "v=spf1 mx -all\n" GOOGLE, "spf.upstream", DOCTOR_WARNING,
		  "smtp.gmail.com is not in the SPF record of example.org", "v=spf1 mx include:_spf.google.com -all" },
		{ REALM BASICS_UPSTREAM, D "v=spf1 mx -all\n" ISP, "spf.upstream", DOCTOR_WARNING, "smtp.isp.example is not in",
		  "v=spf1 mx include:isp.example -all" },
	};

	CHECK_ALL(rows);
	plant(REALM BASICS_UPSTREAM, D "v=spf1 mx -all", "spf.upstream", DOCTOR_UNKNOWN, "--headers");
	plant(DIRECT, "", "spf.upstream", DOCTOR_SKIPPED, "no route has an upstream");
	plant(REALM WORKSPACE, D "v=spf1 include:_spf.google.com -all\n" GOOGLE, "spf.pass", DOCTOR_SKIPPED, "");
}

/* A private address is never that which receivers see: nothing is judged by it, and no record names it. */
static void home(void **state)
{
	static const char *const direct = "doctor = { addresses = [ \"192.168.1.5\" ]; }; " REALM;
	struct table *t = run(direct, "");

	expect_silent(t, "spf.*");
	expect(t, "spf.pass", DOCTOR_SKIPPED, "address.public");
	expect(t, "spf.helo", DOCTOR_SKIPPED, "address.public");
	table_free(t);
	t = run(direct, D "x=y");
	assert_true(str_eq(expect(t, "spf.record", DOCTOR_FAILURE, "has no SPF record")->remedy.records[0].value,
			   S("v=spf1 a:relay.example.org ~all")));
	table_free(t);
}

/* A record that was mended a moment ago is right at the domain's own servers, and only old in caches. */
static void cached(void **state)
{
	struct table *t = table_new(DIRECT);

	table_only(t, "spf.*");
	table_world(t, D "v=spf1 mx -all");
	table_view(t, VIEW_OWN, "example.org TXT v=spf1 " OURS " -all\nexample.org MX 10 mx.mailbox.test");
	table_run(t);
	expect_silent(t, "spf.*");
	expect(t, "spf.pass", DOCTOR_OK, "seen everywhere within 5 min");
	table_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),     cmocka_unit_test(records), cmocka_unit_test(passes),   cmocka_unit_test(lookups),
		cmocka_unit_test(includes), cmocka_unit_test(ends),    cmocka_unit_test(greeting), cmocka_unit_test(upstreams),
		cmocka_unit_test(cached),   cmocka_unit_test(home),
	};

	return cmocka_run_group_tests_name("doctor_spf", tests, fixture_open, fixture_close);
}
