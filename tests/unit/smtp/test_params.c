/* test_params.c - the parameters of MAIL and RCPT. */
#include "unit.h"

#include "../../../src/smtp/grammar.h"

#include "posthouse/arena.h"

#include <stdio.h>

#define NOW_S 1795301717 /* 2026-11-21T22:55:17Z */

static struct arena arena;
static struct smtp_offer offer;

/* Everything is offered. */
static int setup(void **state)
{
	offer = (struct smtp_offer){ .tls = true, .future_release_s = 86400, .now_ms = NOW_S * 1000ull, .arena = &arena };
	return 0;
}

static int teardown(void **state)
{
	arena_fini(&arena);
	return 0;
}

static void test_mail_params(void **state)
{
	static const struct {
		struct str rest;
		unsigned code;
		uint64_t size;
		unsigned body;
	} rows[] = {
		{ S(""), 0, 0, BODY_7BIT },
		{ S(" SIZE=0"), 0, 0, BODY_7BIT },
		{ S("  size=12  body=8bitmime "), 0, 12, BODY_8BITMIME },
		{ S(" BODY=7BIT AUTH=<>"), 0, 0, BODY_7BIT },
		{ S(" AUTH=e+3Dmc2@example.com"), 0, 0, BODY_7BIT },
		{ S(" SIZE=99999999999999999999"), 0, UINT64_MAX, BODY_7BIT },
		{ S(" SIZE"), 501, 0, 0 },
		{ S(" SIZE="), 501, 0, 0 },
		{ S(" SIZE=-1"), 501, 0, 0 },
		{ S(" SIZE=1x"), 501, 0, 0 },
		{ S(" SIZE=999999999999999999999"), 501, 0, 0 },
		{ S(" Body=BinaryMime"), 0, 0, BODY_BINARYMIME },
		{ S("\tSIZE=5\t BODY=8BITMIME\t"), 0, 5, BODY_8BITMIME },
		{ S(" BODY=8BIT"), 501, 0, 0 },
		{ S(" SIZE=1=1"), 501, 0, 0 },
		{ S(" BODY"), 501, 0, 0 },
		{ S(" AUTH="), 501, 0, 0 },
		{ S(" AUTH=a+3"), 501, 0, 0 },
		{ S(" AUTH=a+zz"), 501, 0, 0 },
		{ S(" SIZE=1 SIZE=1"), 501, 0, 0 },
		{ S(" NOTIFY=NEVER"), 555, 0, 0 },
		{ S(" ="), 555, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_mail_params p;
		struct verdict v = smtp_mail_params(rows[i].rest, &offer, &p);

		if (v.code != rows[i].code || (v.class == OK && (p.size != rows[i].size || p.body != rows[i].body)))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].rest));
	}
}

/* `before` and n times "x". */
static struct str value_of(char *to, size_t size, const char *before, size_t n)
{
	size_t at = (size_t)snprintf(to, size, "%s", before);

	assert_true(at + n <= size);
	memset(to + at, 'x', n);
	return str_make(to, at + n);
}

static void test_dsn_mail_params(void **state)
{
	static const struct {
		struct str rest;
		unsigned code, ret;
		struct str envid;
	} rows[] = {
		{ S(" SIZE=1"), 0, RET_UNSET, S("") },
		{ S(" RET=FULL"), 0, RET_FULL, S("") },
		{ S(" ret=hdrs envid=QQ+2B1+20+7E"), 0, RET_HDRS, S("QQ+2B1+20+7E") },
		{ S(" ENVID=<a@b>;x,y"), 0, RET_UNSET, S("<a@b>;x,y") },
		{ S(" RET"), 501, 0, S("") },
		{ S(" RET="), 501, 0, S("") },
		{ S(" RET=FULLY"), 501, 0, S("") },
		{ S(" RET=FULL,HDRS"), 501, 0, S("") },
		{ S(" RET=FULL RET=FULL"), 501, 0, S("") },
		{ S(" ENVID"), 501, 0, S("") },
		{ S(" ENVID="), 501, 0, S("") },
		{ S(" ENVID=a=b"), 501, 0, S("") },
		{ S(" ENVID=a+"), 501, 0, S("") },
		{ S(" ENVID=a+2b"), 501, 0, S("") },
		{ S(" ENVID=a+1F"), 501, 0, S("") },
		{ S(" ENVID=a+7F"), 501, 0, S("") },
		{ S(" ENVID=a+80"), 501, 0, S("") },
		{ S(" ENVID=a+C3+A9"), 501, 0, S("") },
		{ S(" ENVID=\xc3\xa9"), 501, 0, S("") },
	};
	struct smtp_mail_params p;
	char text[700];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = smtp_mail_params(rows[i].rest, &offer, &p);

		if (v.code != rows[i].code || (v.class == OK && (p.ret != rows[i].ret || !str_eq(p.envid, rows[i].envid))))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].rest));
	}
	assert_int_equal(smtp_mail_params(value_of(text, sizeof(text), "ENVID=", 100), &offer, &p).class, OK);
	assert_int_equal(smtp_mail_params(value_of(text, sizeof(text), "ENVID=", 101), &offer, &p).code, 501);
}

static void test_rcpt_params(void **state)
{
	static const struct {
		struct str rest;
		unsigned code, notify;
		struct str orcpt;
	} rows[] = {
		{ S(""), 0, 0, S("") },
		{ S(" NOTIFY=NEVER"), 0, NOTIFY_NEVER, S("") },
		{ S(" NOTIFY=SUCCESS"), 0, NOTIFY_SUCCESS, S("") },
		{ S(" notify=Failure,DELAY"), 0, NOTIFY_FAILURE | NOTIFY_DELAY, S("") },
		{ S(" NOTIFY=DELAY,SUCCESS,FAILURE"), 0, NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, S("") },
		{ S(" ORCPT=rfc822;Bob+2Bx@example.net NOTIFY=DELAY"), 0, NOTIFY_DELAY, S("rfc822;Bob+2Bx@example.net") },
		{ S(" ORCPT=utf-8;b\\x{F6}b@example.net"), 0, 0, S("utf-8;b\\x{F6}b@example.net") },
		{ S(" NOTIFY"), 501, 0, S("") },
		{ S(" NOTIFY="), 501, 0, S("") },
		{ S(" NOTIFY=NEVER,DELAY"), 501, 0, S("") },
		{ S(" NOTIFY=DELAY,NEVER"), 501, 0, S("") },
		{ S(" NOTIFY=,DELAY"), 501, 0, S("") },
		{ S(" NOTIFY=DELAY,"), 501, 0, S("") },
		{ S(" NOTIFY=DELAY;SUCCESS"), 501, 0, S("") },
		{ S(" NOTIFY=NONE"), 501, 0, S("") },
		{ S(" NOTIFY=NEVER NOTIFY=NEVER"), 501, 0, S("") },
		{ S(" ORCPT"), 501, 0, S("") },
		{ S(" ORCPT="), 0, 0, S("") },
		{ S(" ORCPT=bob@example.net"), 0, 0, S("") },
		{ S(" ORCPT=;bob@example.net"), 0, 0, S("") },
		{ S(" ORCPT=rfc822;"), 0, 0, S("") },
		{ S(" ORCPT=rfc<822;bob@example.net"), 0, 0, S("") },
		{ S(" ORCPT=rfc=822;bob@example.net"), 0, 0, S("") },
		{ S(" ORCPT=rfc822;bob=bob@example.net"), 0, 0, S("") },
		{ S(" ORCPT=rfc822;bob+0D+0A@example.net"), 0, 0, S("") },
		{ S(" ORCPT=rfc822;b\xc3\xb6y@example.net"), 0, 0, S("") },
		{ S(" RET=FULL"), 555, 0, S("") },
		{ S(" SIZE=1"), 555, 0, S("") },
		{ S(" SMTPUTF8"), 555, 0, S("") },
	};
	struct smtp_rcpt_params p;
	char text[700];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct verdict v = smtp_rcpt_params(rows[i].rest, &offer, &p);

		if (v.code != rows[i].code || (v.class == OK && (p.notify != rows[i].notify || !str_eq(p.orcpt, rows[i].orcpt))))
			fail_msg("row %zu: \"%.*s\"", i, STR_ARG(rows[i].rest));
	}
	assert_int_equal(smtp_rcpt_params(value_of(text, sizeof(text), "ORCPT=rfc822;", 493), &offer, &p).class, OK);
	assert_int_equal(smtp_rcpt_params(value_of(text, sizeof(text), "ORCPT=rfc822;", 494), &offer, &p).class, OK);
	assert_int_equal(p.orcpt.n, 0);
}

/* Extensions: what is asked for, its code, and then the field it sets as a number. */
static void test_extension_params(void **state)
{
	enum field { NONE, UTF8, RELEASE, BY_SECONDS, BY_MODE, PRIORITY, TLS };
	static const struct {
		struct str rest;
		unsigned code;
		enum field field;
		uint64_t value;
	} rows[] = {
		{ S(""), 0, PRIORITY, PRIORITY_NORMAL },
		{ S("SMTPUTF8"), 0, UTF8, 1 },
		{ S("smtputf8 SIZE=1"), 0, UTF8, 1 },
		{ S("SMTPUTF8="), 501, NONE, 0 },
		{ S("SMTPUTF8=1"), 501, NONE, 0 },
		{ S("SMTPUTF8 SMTPUTF8"), 501, NONE, 0 },
		{ S("SMTPUTF"), 555, NONE, 0 },
		{ S("HOLDFOR=1"), 0, RELEASE, (NOW_S + 1) * 1000ull },
		{ S("holdfor=86400"), 0, RELEASE, (NOW_S + 86400) * 1000ull },
		{ S("HOLDFOR=86401"), 501, NONE, 0 },
		{ S("HOLDFOR=0"), 501, NONE, 0 },
		{ S("HOLDFOR=01"), 501, NONE, 0 },
		{ S("HOLDFOR=-1"), 501, NONE, 0 },
		{ S("HOLDFOR=+1"), 501, NONE, 0 },
		{ S("HOLDFOR="), 501, NONE, 0 },
		{ S("HOLDFOR"), 501, NONE, 0 },
		{ S("HOLDFOR=1s"), 501, NONE, 0 },
		{ S("HOLDFOR=9999999999"), 501, NONE, 0 },
		{ S("HOLDFOR=18446744073709551615"), 501, NONE, 0 },
		{ S("HOLDFOR=1 HOLDFOR=1"), 501, NONE, 0 },
		{ S("HOLDUNTIL=2026-11-22T22:55:17Z"), 0, RELEASE, (NOW_S + 86400) * 1000ull },
		{ S("HOLDUNTIL=2026-11-22t01:00:00.5+02:00"), 0, RELEASE, (NOW_S + 283) * 1000ull + 500 },
		{ S("HOLDUNTIL=2026-11-22T22:55:18Z"), 501, NONE, 0 },
		{ S("HOLDUNTIL=2026-11-21T22:55:17Z"), 501, NONE, 0 },
		{ S("HOLDUNTIL=2026-11-21T22:55:16Z"), 501, NONE, 0 },
		{ S("HOLDUNTIL=2026-11-22"), 501, NONE, 0 },
		{ S("HOLDUNTIL=tomorrow"), 501, NONE, 0 },
		{ S("HOLDUNTIL="), 501, NONE, 0 },
		{ S("HOLDUNTIL"), 501, NONE, 0 },
		{ S("HOLDFOR=10 HOLDUNTIL=2026-11-22T22:55:17Z"), 501, NONE, 0 },
		{ S("HOLDUNTIL=2026-11-22T22:55:17Z HOLDFOR=10"), 501, NONE, 0 },
		{ S("BY=120;R"), 0, BY_SECONDS, 120 },
		{ S("BY=120;R"), 0, BY_MODE, BY_RETURN },
		{ S("by=+1;n"), 0, BY_SECONDS, 1 },
		{ S("by=+1;n"), 0, BY_MODE, BY_NOTIFY },
		{ S("BY=999999999;RT"), 0, BY_SECONDS, 999999999 },
		{ S("BY=5;RT"), 0, BY_MODE, BY_RETURN | BY_TRACE },
		{ S("BY=5;nt"), 0, BY_MODE, BY_NOTIFY | BY_TRACE },
		{ S("BY=0;R"), 501, NONE, 0 },
		{ S("BY=0;N"), 501, NONE, 0 },
		{ S("BY=-1;N"), 501, NONE, 0 },
		{ S("BY=-1;R"), 501, NONE, 0 },
		{ S("BY=1000000000;R"), 501, NONE, 0 },
		{ S("BY=0000000001;R"), 501, NONE, 0 },
		{ S("BY=;R"), 501, NONE, 0 },
		{ S("BY=+;R"), 501, NONE, 0 },
		{ S("BY=5"), 501, NONE, 0 },
		{ S("BY=5;"), 501, NONE, 0 },
		{ S("BY=5;X"), 501, NONE, 0 },
		{ S("BY=5;RX"), 501, NONE, 0 },
		{ S("BY=5;RTT"), 501, NONE, 0 },
		{ S("BY=5;T"), 501, NONE, 0 },
		{ S("BY"), 501, NONE, 0 },
		{ S("BY=5;R BY=5;R"), 501, NONE, 0 },
		{ S("MT-PRIORITY=0"), 0, PRIORITY, 9 },
		{ S("mt-priority=9"), 0, PRIORITY, 18 },
		{ S("MT-PRIORITY=-9"), 0, PRIORITY, 0 },
		{ S("MT-PRIORITY=-1"), 0, PRIORITY, 8 },
		{ S("MT-PRIORITY=-0"), 501, NONE, 0 },
		{ S("MT-PRIORITY=+1"), 501, NONE, 0 },
		{ S("MT-PRIORITY=10"), 501, NONE, 0 },
		{ S("MT-PRIORITY=-10"), 501, NONE, 0 },
		{ S("MT-PRIORITY=01"), 501, NONE, 0 },
		{ S("MT-PRIORITY=-"), 501, NONE, 0 },
		{ S("MT-PRIORITY=x"), 501, NONE, 0 },
		{ S("MT-PRIORITY="), 501, NONE, 0 },
		{ S("MT-PRIORITY"), 501, NONE, 0 },
		{ S("REQUIRETLS"), 0, TLS, 1 },
		{ S("requiretls"), 0, TLS, 1 },
		{ S("REQUIRETLS=yes"), 501, NONE, 0 },
		{ S("REQUIRETLS REQUIRETLS"), 501, NONE, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct smtp_mail_params p;
		struct verdict v = smtp_mail_params(rows[i].rest, &offer, &p);
		uint64_t values[] = { 0, p.utf8, p.release_at, p.by_s, p.by_mode, p.priority, p.require_tls };

		if (v.code != rows[i].code || (v.class == OK && values[rows[i].field] != rows[i].value))
			fail_msg("row %zu: \"%.*s\": %u %llu", i, STR_ARG(rows[i].rest), v.code,
				 (unsigned long long)values[rows[i].field]);
		if (v.code == 501 && v.text.n == 0)
			fail_msg("row %zu has no words", i);
	}
}

static void test_not_offered(void **state)
{
	struct smtp_mail_params p;
	struct buf b;

	offer.future_release_s = 0;
	offer.tls = false;
	assert_int_equal(smtp_mail_params(S("HOLDFOR=1"), &offer, &p).code, 555);
	assert_int_equal(smtp_mail_params(S("HOLDUNTIL=2026-11-22T22:55:17Z"), &offer, &p).code, 555);
	assert_int_equal(smtp_mail_params(S("REQUIRETLS"), &offer, &p).code, 530);
	buf_init(&b, 10000);
	smtp_params_help(&b, &offer, false);
	assert_true(str_search(buf_view(&b), S("SIZE=")) < b.n);
	assert_true(str_search(buf_view(&b), S("HOLD")) == b.n);
	assert_true(str_search(buf_view(&b), S("REQUIRETLS")) == b.n);
	buf_clear(&b);
	setup(NULL);
	smtp_params_help(&b, &offer, false);
	assert_true(str_search(buf_view(&b), S("HOLDUNTIL=")) < b.n);
	assert_true(str_search(buf_view(&b), S("REQUIRETLS")) < b.n);
	buf_fini(&b);
}

/* The recipient is taken, what cannot go into a report is not. */
static void expect_no_orcpt(struct str parameters)
{
	struct smtp_rcpt_params p;

	assert_int_equal(smtp_rcpt_params(parameters, &offer, &p).class, OK);
	assert_int_equal(p.orcpt.n, 0);
}

/* RFC 6533 section 3: what came in UTF-8 is kept in the form that may go everywhere. */
static void test_utf8_orcpt(void **state)
{
	struct smtp_rcpt_params p;
	char text[700];
	size_t n = (size_t)snprintf(text, sizeof(text), "ORCPT=utf-8;");

	expect_no_orcpt(S("ORCPT=utf-8;b\xc3\xb6y@example.net"));
	offer.utf8 = true;
	assert_int_equal(smtp_rcpt_params(S("ORCPT=UTF-8;b\xc3\xb6y\xf0\x9f\x98\x80\xe4\xb8\xad@x"), &offer, &p).class, OK);
	assert_true(str_eq(p.orcpt, S("UTF-8;b\\x{F6}y\\x{1F600}\\x{4E2D}@x")));
	expect_no_orcpt(S("ORCPT=rfc822;b\xc3\xb6y@x"));
	expect_no_orcpt(S("ORCPT=utf-8;b\xc3y@x"));
	expect_no_orcpt(S("ORCPT=utf-8;b=\xc3\xb6@x"));
	/* Postfix writes UTF-8 as xtext. */
	assert_int_equal(smtp_rcpt_params(S("ORCPT=rfc822;j+C3+B6rg+2Bx@example.net"), &offer, &p).class, OK);
	assert_true(str_eq(p.orcpt, S("utf-8;j\\x{F6}rg\\x{2B}x@example.net")));
	expect_no_orcpt(S("ORCPT=rfc822;j+C3rg@example.net"));
	expect_no_orcpt(S("ORCPT=rfc822;j+C3+B6rg+0D+0A@example.net"));
	for (unsigned i = 0; i < 200; i++, n += 2)
		memcpy(text + n, "\xc3\xb6", 2);
	expect_no_orcpt(str_make(text, n)); /* too long in that form */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_mail_params),      T(test_dsn_mail_params), T(test_rcpt_params),
		T(test_extension_params), T(test_not_offered),     T(test_utf8_orcpt),
	};

	return cmocka_run_group_tests_name("params", tests, NULL, NULL);
}
