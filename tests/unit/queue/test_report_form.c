/* test_report_form.c - in which form a refused report goes next, and who writes it. */
#include "common/dsn_form.h"

#include "posthouse/meaning.h"

#include "unit.h"
#include <string.h>

static struct cfg_upstream upstreams[] = {
	{ .name = { "isp", 3 }, .login = { "me@isp.example", 14 } },
	{ .name = { "ses", 3 }, .login = { "AKIA", 4 }, .report_sender = { "bounces@example.org", 19 } },
};
static struct str via[] = { { "isp", 3 }, { "mx", 2 } };
static struct cfg_route routes[] = { { .via = { via, 2 } } };
static struct cfg_sign keys[] = { { .domain = { "example.org", 11 } }, { .domain = { "other.example", 13 } } };
static struct config config;

static int setup(void **state)
{
	(void)state;
	config = (struct config){ .hostname = S("relay.example.org"),
				  .postmaster = S("postmaster@other.example"),
				  .upstreams = upstreams,
				  .upstreams_n = 2,
				  .routes = routes,
				  .routes_n = 1,
				  .sign = keys,
				  .sign_n = 2 };
	return 0;
}

static const struct {
	unsigned code;
	const char *enhanced, *text, *route;
	enum trouble trouble;
	struct report_form from, to; /* the same: there is no other */
} rows[] = {
	{ 501, "", "Invalid MAIL FROM address provided", "upstream:isp", 0, { 0, 0 }, { 0, REPORTER_ACCOUNT } },
	{ 553, "5.7.1", "Sender address rejected: not owned by user", "upstream:ses", 0, { 0, 0 }, { 0, REPORTER_RECIPIENT } },
	{ 550,
	  "5.7.60",
	  "Client does not have permissions to send as this",
	  "upstream:isp",
	  TROUBLE_SETUP,
	  { 1, 0 },
	  { 1, REPORTER_ACCOUNT } },
	{ 550, "5.7.1", "not from here", "mx:x.example", 0, { 0, 0 }, { 0, REPORTER_RECIPIENT } },
	{ 554, "5.6.1", "8-bit not supported", "upstream:isp", TROUBLE_CONTENT, { 0, 0 }, { REPORT_HEADERS, 0 } },
	{ 554, "5.6.3", "there is some in a signed part", "upstream:isp", 0, { 0, 0 }, { REPORT_HEADERS, 0 } },
	{ 500, "5.5.2", "line too long", "upstream:isp", 0, { REPORT_HEADERS, 0 }, { REPORT_WORDS, 0 } },
	{ 552, "5.3.4", "too big", "upstream:isp", TROUBLE_SIZE, { REPORT_HEADERS, 2 }, { REPORT_WORDS, 2 } },
	{ 554, "", "no", "upstream:isp", 0, { REPORT_WORDS, 0 }, { REPORT_WORDS, REPORTER_ACCOUNT } },
	{ 554, "", "no", "upstream:isp", 0, { REPORT_WORDS, REPORTER_ACCOUNT }, { REPORT_WORDS, REPORTER_RECIPIENT } },
	{ 553, "", "sender", "upstream:isp", 0, { 0, REPORTER_RECIPIENT }, { REPORT_HEADERS, REPORTER_RECIPIENT } },
	/* the last one */
	{ 554, "", "no", "upstream:isp", 0, { REPORT_WORDS, REPORTER_RECIPIENT }, { REPORT_WORDS, REPORTER_RECIPIENT } },
	/* another form would fare no better, or is not needed */
	{ 550, "5.1.1", "no such user", "upstream:isp", 0, { 0, 0 }, { 0, 0 } },
	{ 552, "5.2.2", "mailbox full", "upstream:isp", 0, { 0, 0 }, { 0, 0 } },
	{ 550, "", "who is that", "upstream:isp", TROUBLE_MAILBOX, { 0, 0 }, { 0, 0 } },
	{ 550, "5.4.5", "daily limit", "upstream:isp", TROUBLE_QUOTA, { 0, 0 }, { 0, 0 } },
	{ 451, "4.7.1", "sender is greylisted", "upstream:isp", 0, { 0, 0 }, { 0, 0 } },
};

static void test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct report_form next = rows[i].from, kept;
		struct verdict v = { .class = PERM,
				     .code = (uint16_t)rows[i].code,
				     .enhanced = str_of(rows[i].enhanced),
				     .text = str_of(rows[i].text) };
		bool other = rows[i].from.size != rows[i].to.size || rows[i].from.reporter != rows[i].to.reporter;
		bool found = form_next(
			&config, rows[i].from, str_of(rows[i].route), v,
			rows[i].trouble ? meaning_pack((struct meaning){ .trouble = rows[i].trouble, .actor = ACTOR_ADMIN }) : 0,
			&next);

		if (found != other || next.size != rows[i].to.size || next.reporter != rows[i].to.reporter)
			print_error("%u %s %s\n", rows[i].code, rows[i].enhanced, rows[i].text);
		assert_int_equal(found, other);
		assert_int_equal(next.size, rows[i].to.size);
		assert_int_equal(next.reporter, rows[i].to.reporter);
		kept = form_read(1 | form_options(next));
		assert_int_equal(kept.size, next.size);
		assert_int_equal(kept.reporter, next.reporter);
	}
}

static void expect_author(enum reporter reporter, const char *route, const char *from, const char *sender)
{
	struct arena a = { 0 };
	struct report_author author = report_author(&a, &config, reporter, str_of(route), S("alice@example.com"));

	if (!str_eq(author.from, str_of(from)) || !str_eq(author.sender, str_of(sender)))
		print_error("got %.*s, %.*s\n", STR_ARG(author.from), STR_ARG(author.sender));
	assert_true(str_eq(author.from, str_of(from)) && str_eq(author.sender, str_of(sender)));
	arena_fini(&a);
}

static void test_authors(void **state)
{
	(void)state;
	expect_author(REPORTER_USUAL, "", "mailer-daemon@example.org", ""); /* above the host's name there is a key */
	config.sign = keys + 1;
	config.sign_n = 1;
	expect_author(REPORTER_USUAL, "", "mailer-daemon@other.example", ""); /* the postmaster's domain */
	config.sign_n = 0;
	expect_author(REPORTER_USUAL, "", "mailer-daemon@relay.example.org", "");
	expect_author(REPORTER_ACCOUNT, "upstream:isp", "me@isp.example", "me@isp.example");
	expect_author(REPORTER_RECIPIENT, "upstream:isp", "alice@example.com", "alice@example.com");
	config.report_sender = S("reports@example.org");
	expect_author(REPORTER_USUAL, "", "reports@example.org", "");
	via[0] = S("ses");
	expect_author(REPORTER_USUAL, "", "bounces@example.org", "");
	via[0] = S("isp");
	assert_true(str_eq(report_sender(&config, &upstreams[0]), S("reports@example.org")));
	assert_true(str_eq(report_sender(&config, &upstreams[1]), S("bounces@example.org")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_forms, setup),
		cmocka_unit_test_setup(test_authors, setup),
	};

	return cmocka_run_group_tests_name("report_form", tests, NULL, NULL);
}
