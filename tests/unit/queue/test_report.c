/* test_report.c - failures and who is told. */
#include "harness.h"

#include <stdlib.h>

static struct cfg_sign keys[] = {
	{ .domain = { "other.example", 13 }, .selector = { "o", 1 }, .algorithm = DKIM_RSA_SHA256 },
	{ .domain = { "relay.example.org", 17 }, .selector = { "p1r", 3 }, .algorithm = DKIM_RSA_SHA256 },
	{ .domain = { "relay.example.org", 17 }, .selector = { "p1e", 3 }, .algorithm = DKIM_ED25519_SHA256 },
};

static int setup(void **state)
{
	struct harness *h = harness_new();

	connect_submission(h);
	connect_relay(h);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	harness_free(*state);
	return 0;
}

/* The report about message `parent`; NULL. */
static struct fake_message *report_about(uint64_t parent)
{
	LIST_EACH (i, &fake_store->messages) {
		struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);

		if (m->m.parent == parent)
			return m;
	}
	return NULL;
}

static bool contains(struct str text, const char *part)
{
	return str_search(text, str_of(part)) < text.n;
}

static void fail_delivery(struct harness *h, uint64_t id, const char *sender, const char *recipients)
{
	size_t at = h->deliveries_n;

	submit_and_wait(h, id, sender, recipients);
	UNTIL(h, h->deliveries_n == at + 1);
	answer(h, &h->deliveries[at], perm(550, S("5.1.1"), S("no such user here")));
	UNTIL(h, h->deliveries[at].settled);
}

/* Unsigned by rule: there is no key for the hostname's domain. The report goes the way of all mail. */
static void test_report(void **state)
{
	struct harness *h = *state;
	struct fake_message *r;

	fail_delivery(h, 100, "a@example.org", "b@x.example c@y.example");
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_int_equal(r->m.kind, KIND_FAILURE);
	assert_int_equal(r->m.sender.n, 0);
	assert_int_equal(r->m.recipients_n, 1);
	assert_true(str_eq(r->recipients[0].new.address, S("a@example.org")));
	assert_int_equal(r->m.prefix.n, 0);
	assert_int_equal(r->m.size, r->m.text.n);
	assert_true(str_starts(str_from(r->m.text, r->m.header_size), S("\r\n")));
	assert_true(contains(r->m.text, "b@x.example"));
	assert_true(contains(r->m.text, "c@y.example"));
	assert_true(contains(r->m.text, "no such user here"));
	assert_true(contains(r->m.text, "smtp.isp.example"));
	assert_true(contains(r->m.text, "Subject: hello"));
	assert_false(contains(r->m.text, "body\r\n"));
	UNTIL(h, recipient(100, 1)->state == RCPT_BOUNCED);
	assert_int_equal(recipient(100, 2)->state, RCPT_BOUNCED);
	assert_true(fake_event(100, "mail.reported", "to=a@example.org recipients=2"));
	UNTIL(h, h->deliveries_n == 2);
	assert_true(str_eq(h->deliveries[1].addresses[0], S("a@example.org")));
	assert_int_equal(h->deliveries[1].sender.n, 0);
}

/* A report never causes a report. */
static void test_failed_report(void **state)
{
	struct harness *h = *state;
	size_t messages = 0;

	fail_delivery(h, 100, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 2);
	answer(h, &h->deliveries[1], perm(550, S("5.1.1"), S("no such user either")));
	UNTIL(h, h->deliveries[1].settled);
	run_quiet(h);
	LIST_EACH (i, &fake_store->messages)
		messages++;
	assert_int_equal(messages, 2);
	assert_int_equal(recipient(h->deliveries[1].id, 1)->state, RCPT_DISCARDED);
	assert_true(fake_event(h->deliveries[1].id, "delivery.discarded", "no such user either"));
}

/* A failure that the store still lists for a message without sender (from an older version, say) is discarded too. */
static void test_null_sender(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "", "b@x.example");
	recipient(100, 1)->state = RCPT_FAILED;
	reports_wake(h->q);
	UNTIL(h, recipient(100, 1)->state == RCPT_DISCARDED);
	assert_null(report_about(100));
}

static void test_signed(void **state)
{
	struct harness *h = *state;
	struct fake_message *r;
	const char *ed25519;

	h->config.sign = keys;
	h->config.sign_n = 3;
	connect_vault(h);
	fail_delivery(h, 100, "a@example.org", "b@x.example");
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_true(str_eq(h->sign_domain, S("relay.example.org")));
	assert_true(str_starts(r->m.prefix, S("DKIM-Signature:")));
	assert_true(str_ends(r->m.prefix, S("\r\n")));
	assert_true(contains(r->m.prefix, "s=p1r"));
	ed25519 = "s=p1e";
	assert_true(contains(r->m.prefix, ed25519));
	assert_false(contains(r->m.prefix, "other.example"));
	assert_true(str_eq(r->m.sign_domain, S("relay.example.org")));
}

/* Without vault, or with a key that cannot be used, the report waits; it is not sent unsigned. */
static void test_vault_away(void **state)
{
	struct harness *h = *state;

	h->config.sign = keys;
	h->config.sign_n = 3;
	fail_delivery(h, 100, "a@example.org", "b@x.example");
	UNTIL(h, h->q->reports.waiting);
	assert_int_equal(recipient(100, 1)->state, RCPT_FAILED);
	h->vault_fails = true;
	connect_vault(h);
	UNTIL(h, h->signs == 1);
	UNTIL(h, h->q->reports.waiting);
	h->vault_fails = false;
	disconnect(h, &h->vault);
	connect_vault(h);
	UNTIL(h, recipient(100, 1)->state == RCPT_BOUNCED);
}

/* The store refuses the report: it is made again, once. */
static void test_store_refuses(void **state)
{
	struct harness *h = *state;

	fake_store->refuse_reports = 1;
	fail_delivery(h, 100, "a@example.org", "b@x.example");
	UNTIL(h, h->q->reports.waiting);
	assert_null(report_about(100));
	reports_retry(h->q);
	UNTIL(h, recipient(100, 1)->state == RCPT_BOUNCED);
}

/* While a recipient is in flight the failed ones wait: one report covers them all. */
static void test_waits_for_all(void **state)
{
	struct harness *h = *state;
	struct fake_message *r;

	submit_and_wait(h, 100, "a@example.org", "b@x.example c@y.example");
	UNTIL(h, h->deliveries_n == 1);
	recipient(100, 2)->state = RCPT_FAILED; /* still leased */
	reports_wake(h->q);
	run_quiet(h);
	assert_null(report_about(100));
	answer(h, &h->deliveries[0], perm(550, S("5.1.1"), S("no")));
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_true(contains(r->m.text, "b@x.example"));
	assert_true(contains(r->m.text, "c@y.example"));
}

/* A report stays within what travels inline, whatever the original and the answers were. */
static void test_bounded(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };
	char *text = arena_alloc(&a, 62 * 1024);
	char *reply = arena_alloc(&a, 1500);
	struct fake_message *r;
	size_t reports = 0, before = h->answers_n;
	struct str recipients = S("");

	for (size_t i = 0; i + 80 < 62 * 1024; i += 80)
		memcpy(text + i, "X-Long: 4567890123456789012345678901234567890123456789012345678901234567890123\r\n", 80);
	memset(reply, 'r', 1499);
	for (int i = 0; i < 60; i++)
		recipients = arena_printf(&a, "%.*s%sr%d@x.example", STR_ARG(recipients), i ? " " : "", i);
	submit(h, 100, 1, "a@example.org", arena_cstr(&a, recipients), text);
	UNTIL(h, h->answers_n > before);
	UNTIL(h, h->deliveries_n == 1);
	assert_int_equal(h->deliveries[0].n, 60);
	answer(h, &h->deliveries[0], perm(550, S("5.1.1"), str_of(reply)));
	for (uint64_t n = 1; n <= 60; n++)
		UNTIL(h, recipient(100, n)->state == RCPT_BOUNCED);
	LIST_EACH (i, &fake_store->messages) {
		r = CONTAINER_OF(i, struct fake_message, in_store);
		if (r->m.parent != 100)
			continue;
		reports++;
		assert_true(r->m.size <= INLINE_MAX);
	}
	assert_true(reports >= 2); /* 60 answers of 1000 bytes, told twice each */
	arena_fini(&a);
}

/* A large message's header is read from its file; one that is lost is not quoted, but told. */
static void test_large_parent(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	for (uint64_t id = 100; id <= 101; id++) {
		submit_and_wait(h, id, "a@example.org", "b@x.example");
		fake_find(id)->m.place = PLACE_FILE;
		fake_find(id)->m.header_size = 16;
		recipient(id, 1)->state = RCPT_FAILED;
		recipient(id, 1)->verdict = perm(550, S("5.0.0"), S("no"));
		fake_store->text_gone = id == 101;
		reports_retry(h->q);
		UNTIL(h, report_about(id));
		assert_int_equal(contains(report_about(id)->m.text, "Subject: large"), id == 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_report, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_report, setup, teardown),
		cmocka_unit_test_setup_teardown(test_null_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vault_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_parent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
