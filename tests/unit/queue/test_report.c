/* test_report.c - failures and who is told. */
#include "fake_store.h"
#include "harness.h"

#include "posthouse/ipc.h"
#include "posthouse/smtp_server.h"

#include <stdlib.h>

static struct cfg_sign keys[] = {
	{ .domain = { "other.example", 13 }, .selector = { "o", 1 }, .algorithm = DKIM_RSA_SHA256 },
	{ .domain = { "relay.example.org", 17 }, .selector = { "p1r", 3 }, .algorithm = DKIM_RSA_SHA256 },
	{ .domain = { "relay.example.org", 17 }, .selector = { "p1e", 3 }, .algorithm = DKIM_ED25519_SHA256 },
};

static int setup(void **state)
{
	struct harness *h = harness_new();

	h->config.postmaster = S("postmaster@example.org");
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
	assert_int_equal(r->m.envelope.sender.n, 0);
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

static size_t count_messages(void)
{
	size_t n = 0;

	LIST_EACH (i, &fake_store->messages)
		n++;
	return n;
}

/* What an attempt would have left behind; to be called while there is no relay. */
static void set_failed(struct harness *h, uint64_t id, uint64_t n)
{
	recipient(id, n)->state = RCPT_FAILED;
	recipient(id, n)->verdict = perm(550, S("5.1.1"), S("no such user here"));
	recipient(id, n)->remote = S("smtp.isp.example [192.0.2.1]");
	recipient(id, n)->last_at = fake_now;
}

/* A report never causes a report: the postmaster is told, in a note whose own failure is told to nobody. */
static void test_failed_report(void **state)
{
	struct harness *h = *state;
	struct fake_message *report, *note;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	set_failed(h, 100, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	report = report_about(100);
	set_failed(h, report->m.id, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(report->m.id));
	note = report_about(report->m.id);
	assert_int_equal(note->m.kind, KIND_NOTICE);
	assert_int_equal(note->m.envelope.sender.n, 0);
	assert_int_equal(note->m.recipients_n, 1);
	assert_true(str_eq(note->recipients[0].new.address, S("postmaster@example.org")));
	assert_int_equal(note->m.size, note->m.text.n);
	assert_true(str_starts(str_from(note->m.text, note->m.header_size), S("\r\n")));
	assert_true(contains(note->m.text, "a@example.org"));
	assert_true(contains(note->m.text, "550 5.1.1 no such user here"));
	assert_true(contains(note->m.text, "smtp.isp.example"));
	assert_int_equal(report->recipients[0].state, RCPT_BOUNCED);
	assert_true(fake_event(report->m.id, "mail.reported", "to=postmaster@example.org"));
	set_failed(h, note->m.id, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, note->recipients[0].state == RCPT_DISCARDED);
	assert_true(fake_event(note->m.id, "mail.discarded", "note to the postmaster"));
	run_quiet(h);
	assert_int_equal(count_messages(), 3);
}

/* So it is with a user's message that has no sender. */
static void test_null_sender(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "", "b@x.example c@y.example");
	set_failed(h, 100, 1);
	set_failed(h, 100, 2);
	recipient(100, 2)->verdict.text = S("caf\xc3\xa9\r\nX: y");
	recipient(100, 2)->new.notify = NOTIFY_NEVER; /* what senders want does not concern the postmaster */
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	assert_int_equal(report_about(100)->m.kind, KIND_NOTICE);
	assert_true(contains(report_about(100)->m.text, "b@x.example"));
	assert_true(contains(report_about(100)->m.text, "550 5.1.1 caf\xc3\xa9 X: y\r\n"));
	assert_true(contains(report_about(100)->m.text, "Login: alice"));
	assert_int_equal(recipient(100, 1)->state, RCPT_BOUNCED);
	assert_int_equal(recipient(100, 2)->state, RCPT_BOUNCED);
}

/* A note stays within what travels inline, whatever was answered. */
static void test_notice_bounded(void **state)
{
	struct harness *h = *state;
	static char reply[1001];
	struct str recipients = S("");
	struct arena a = { 0 };

	disconnect(h, &h->relay);
	memset(reply, '\xff', sizeof reply - 1);
	for (int i = 0; i < 40; i++)
		recipients = arena_printf(&a, "%.*s%sr%d@x.example", STR_ARG(recipients), i ? " " : "", i);
	submit_and_wait(h, 100, "", arena_cstr(&a, recipients));
	for (uint64_t n = 1; n <= 40; n++) {
		set_failed(h, 100, n);
		recipient(100, n)->verdict.text = recipient(100, n)->verdict.enhanced = recipient(100, n)->remote = str_of(reply);
	}
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	assert_true(contains(report_about(100)->m.text, "and 25 more"));
	assert_true(report_about(100)->m.size <= INLINE_MAX);
	assert_true(fake_event(100, "mail.reported", "recipients=40"));
	arena_fini(&a);
}

static bool has_notice(const char *words)
{
	bool found = false;

	LIST_EACH (i, &fake_store->messages) {
		struct fake_message *m = CONTAINER_OF(i, struct fake_message, in_store);

		found = found || (m->m.kind == KIND_NOTICE && contains(m->m.text, words));
	}
	return found;
}

/* The postmaster is not flooded. */
static void test_notice_limit(void **state)
{
	struct harness *h = *state;
	struct postmaster_copies count = { 0 };

	for (; count.n < 60; count.n++)
		assert_true(postmaster_copy_allowed(&count, 5000000));
	assert_false(postmaster_copy_allowed(&count, 5000001));
	assert_false(postmaster_copy_allowed(&count, 5000000 + 3599999));
	assert_true(postmaster_copy_allowed(&count, 5000000 + 3600000));
	assert_true(postmaster_copy_allowed(&count, 1)); /* the clock was set back */

	disconnect(h, &h->relay);
	h->config.queue.warn_after_ms = 1000; /* the timer looks often */
	h->q->reports.dsns.copies = (struct postmaster_copies){ .since = fake_now, .n = 60 };
	submit_and_wait(h, 100, "", "b@x.example");
	set_failed(h, 100, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, recipient(100, 1)->state == RCPT_DISCARDED);
	assert_true(fake_event(100, "mail.discarded", "too many notes"));
	assert_int_equal(count_messages(), 1);
	assert_int_equal(h->q->reports.dsns.copies.skipped, 1);
	fake_now += 3600000; /* when the hour is over, a note tells of all */
	advance(h, 60000);
	UNTIL(h, count_messages() == 2);
	assert_int_equal(h->q->reports.dsns.copies.skipped, 0);
	assert_true(has_notice("1 more messages without a return address"));
	h->q->reports.dsns.copies.n = 0;
	submit_and_wait(h, 101, "", "b@x.example");
	set_failed(h, 101, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(101) && h->q->reports.dsns.copies.n == 1);
}

/* ---- RFC 3461: who wants to be told of what ---- */

static void test_wanted(void **state)
{
	static const struct {
		unsigned notify;
		bool failure, delay, success;
	} rows[] = {
		{ 0, true, true, false },
		{ NOTIFY_NEVER, false, false, false },
		{ NOTIFY_SUCCESS, false, false, true },
		{ NOTIFY_FAILURE, true, false, false },
		{ NOTIFY_DELAY, false, true, false },
		{ NOTIFY_FAILURE | NOTIFY_DELAY, true, true, false },
		{ NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, true, true, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(report_wanted(KIND_FAILURE, rows[i].notify), rows[i].failure);
		assert_int_equal(report_wanted(KIND_DELAY, rows[i].notify), rows[i].delay);
		assert_int_equal(report_wanted(KIND_SUCCESS, rows[i].notify), rows[i].success);
	}
}

/* One message, several wishes: a report for those who want it, an event for the others. */
static void test_notify_failure(void **state)
{
	struct harness *h = *state;
	struct fake_message *r;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "a@example.org", "b@x.example c@x.example d@x.example e@x.example");
	recipient(100, 1)->new.notify = NOTIFY_NEVER;
	recipient(100, 3)->new.notify = NOTIFY_SUCCESS | NOTIFY_DELAY;
	recipient(100, 4)->new.notify = NOTIFY_FAILURE;
	recipient(100, 4)->new.orcpt = S("rfc822;Eve+2Bold@y.example");
	fake_find(100)->m.envelope.envid = S("QQ+2B314");
	for (uint64_t n = 1; n <= 4; n++)
		set_failed(h, 100, n);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_false(contains(r->m.text, "b@x.example"));
	assert_true(contains(r->m.text, "c@x.example"));
	assert_false(contains(r->m.text, "d@x.example"));
	assert_true(contains(r->m.text, "e@x.example"));
	assert_true(contains(r->m.text, "Original-Recipient: rfc822; Eve+old@y.example\r\n"));
	assert_true(contains(r->m.text, "Original-Envelope-Id: QQ+314\r\n"));
	assert_int_equal(recipient(100, 1)->state, RCPT_DISCARDED);
	assert_int_equal(recipient(100, 2)->state, RCPT_BOUNCED);
	assert_int_equal(recipient(100, 3)->state, RCPT_DISCARDED);
	assert_int_equal(recipient(100, 4)->state, RCPT_BOUNCED);
	assert_true(fake_event(100, "mail.discarded", "(NOTIFY)\" recipients=2"));
	assert_true(fake_event(100, "mail.reported", "recipients=2"));
	run_quiet(h);
	assert_int_equal(count_messages(), 2);
}

/* RFC 3461 4.3: the whole message comes back when the sender wants it and there is room for it. */
static void test_ret(void **state)
{
	struct harness *h = *state;
	static const char start[] = "Subject: hello\r\n\r\nThe body of the large one, which alone would fit ";
	static char large[63 * 1024];
	static const struct {
		unsigned ret;
		bool large, whole;
	} rows[] = {
		{ RET_UNSET, false, false },
		{ RET_HDRS, false, false },
		{ RET_FULL, false, true },
		{ RET_FULL, true, false },
	};

	disconnect(h, &h->relay);
	memset(large, 'x', sizeof large - 1);
	for (size_t i = 78; i + 80 < sizeof large; i += 80)
		memcpy(large + i, "\r\n", 2);
	memcpy(large, start, sizeof start - 1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t before = h->answers_n;
		uint64_t id = 100 + i;

		submit(h, id, 1, "a@example.org", "b@x.example",
		       rows[i].large ? large : "Subject: hello\r\n\r\nThe body caf\xc3\xa9\r\n");
		UNTIL(h, h->answers_n > before);
		fake_find(id)->m.envelope.ret = rows[i].ret;
		set_failed(h, id, 1);
		dsns_wake(&h->q->reports);
		UNTIL(h, report_about(id));
		assert_true(contains(report_about(id)->m.text, "Subject: hello\r\n"));
		assert_int_equal(contains(report_about(id)->m.text, "The body"), rows[i].whole);
		assert_int_equal(contains(report_about(id)->m.text, "\r\nContent-Type: message/rfc822\r\n"), rows[i].whole);
		assert_int_equal(report_about(id)->m.envelope.body, rows[i].whole ? 1 : 0);
		assert_true(report_about(id)->m.size <= INLINE_MAX);
	}
}

/* ---- warnings ---- */

#define WARN_MS (4ull * 3600000)

/* Once per message, about those that still wait and whose sender wants to hear of it. */
static void test_delay(void **state)
{
	struct harness *h = *state;
	struct fake_message *r;

	disconnect(h, &h->relay);
	h->config.queue.warn_after_ms = WARN_MS;
	submit_and_wait(h, 100, "a@example.org", "b@x.example c@x.example d@x.example e@x.example f@x.example");
	recipient(100, 1)->new.notify = NOTIFY_NEVER;
	recipient(100, 2)->state = RCPT_DELIVERED;
	recipient(100, 3)->new.notify = NOTIFY_DELAY;
	recipient(100, 4)->verdict = temp(451, S("4.7.1"), S("greylisted"));
	recipient(100, 5)->new.notify = NOTIFY_FAILURE | NOTIFY_SUCCESS;
	fake_find(100)->m.envelope.ret = RET_FULL;
	fake_now += WARN_MS - 1;
	dsns_wake(&h->q->reports);
	run_quiet(h);
	assert_null(report_about(100));
	fake_now += 1;
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_int_equal(r->m.kind, KIND_DELAY);
	assert_int_equal(r->m.envelope.sender.n, 0);
	assert_int_equal(r->m.warn_at, 0);
	assert_true(str_eq(r->recipients[0].new.address, S("a@example.org")));
	assert_true(contains(r->m.text, "Action: delayed\r\n"));
	assert_true(contains(r->m.text, "Will-Retry-Until: "));
	assert_true(contains(r->m.text, "greylisted"));
	assert_true(contains(r->m.text, "d@x.example"));
	assert_true(contains(r->m.text, "e@x.example"));
	assert_false(contains(r->m.text, "b@x.example"));
	assert_false(contains(r->m.text, "c@x.example"));
	assert_false(contains(r->m.text, "f@x.example"));
	assert_false(contains(r->m.text, "body\r\n")); /* RET is about failures */
	assert_true(fake_event(100, "mail.reported", "recipients=2"));
	assert_int_equal(recipient(100, 4)->state, RCPT_WAITING);
	fake_now += WARN_MS;
	dsns_wake(&h->q->reports);
	run_quiet(h);
	assert_int_equal(fake_find(100)->warned, 1);
	assert_int_equal(count_messages(), 2);
}

/* Nobody to warn, or nobody who wants it: the store is told so, and does not list it again. */
static void test_delay_untold(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	h->config.queue.warn_after_ms = WARN_MS;
	submit_and_wait(h, 100, "", "b@x.example");
	fake_find(100)->m.warn_at = fake_now + WARN_MS; /* as an older version would have had it */
	submit_and_wait(h, 101, "a@example.org", "b@x.example c@x.example");
	recipient(101, 1)->new.notify = NOTIFY_NEVER;
	recipient(101, 2)->new.notify = NOTIFY_FAILURE;
	fake_now += WARN_MS;
	dsns_wake(&h->q->reports);
	UNTIL(h, fake_find(100)->warned == 1 && fake_find(101)->warned == 1);
	run_quiet(h);
	assert_int_equal(count_messages(), 2);
	assert_false(fake_event(101, "mail.discarded", ""));
}

/* Nothing but a timer looks for delays. */
static void test_delay_timer(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	h->config.queue.warn_after_ms = 1000;
	queue_ops.apply(harness_role());
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	run_quiet(h);
	assert_null(report_about(100));
	fake_now += 1000;
	UNTIL(h, report_about(100));
}

/* A warning is one report, so all recipients must have room in it: their answers get shorter. */
static void test_delay_of_many(void **state)
{
	struct harness *h = *state;
	static char reply[1001];
	struct str recipients = S("");
	struct arena a = { 0 };

	disconnect(h, &h->relay);
	h->config.queue.warn_after_ms = WARN_MS;
	memset(reply, 'r', sizeof reply - 1);
	for (int i = 0; i < 60; i++)
		recipients = arena_printf(&a, "%.*s%sr%d@x.example", STR_ARG(recipients), i ? " " : "", i);
	submit_and_wait(h, 100, "a@example.org", arena_cstr(&a, recipients));
	for (uint64_t n = 1; n <= 60; n++)
		recipient(100, n)->verdict = temp(451, S("4.0.0"), str_of(reply));
	fake_now += WARN_MS;
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	assert_true(fake_event(100, "mail.reported", "recipients=60"));
	assert_true(report_about(100)->m.size <= INLINE_MAX);
	arena_fini(&a);
}

/* ---- success ---- */

/* RFC 3461 5.2.2: the next hop does not tell of successes, so we say that the message went there. */
static void test_success(void **state)
{
	struct harness *h = *state;
	struct fake_message *r;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "a@example.org", "b@x.example c@x.example");
	recipient(100, 1)->new.notify = NOTIFY_SUCCESS;
	for (uint64_t n = 1; n <= 2; n++)
		recipient(100, n)->state = RCPT_DELIVERED;
	recipient(100, 1)->report_success = true;
	recipient(100, 1)->verdict = ok_text(250, S("2.0.0"), S("queued as 4711"));
	recipient(100, 1)->remote = S("smtp.isp.example [192.0.2.1]");
	fake_find(100)->m.envelope.ret = RET_FULL;
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_int_equal(r->m.kind, KIND_SUCCESS);
	assert_true(contains(r->m.text, "Action: relayed\r\n"));
	assert_true(contains(r->m.text, "Status: 2."));
	assert_true(contains(r->m.text, "b@x.example"));
	assert_false(contains(r->m.text, "c@x.example"));
	assert_false(contains(r->m.text, "body\r\n"));
	assert_false(recipient(100, 1)->report_success);
	assert_int_equal(recipient(100, 1)->state, RCPT_DELIVERED);
	run_quiet(h);
	assert_int_equal(count_messages(), 2);
}

static void test_success_of_null_sender(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "", "b@x.example");
	recipient(100, 1)->new.notify = NOTIFY_SUCCESS;
	recipient(100, 1)->state = RCPT_DELIVERED;
	recipient(100, 1)->report_success = true;
	dsns_wake(&h->q->reports);
	UNTIL(h, !recipient(100, 1)->report_success);
	assert_int_equal(count_messages(), 1);
}

/* A flood of failures does not keep the other kinds waiting. */
static void test_turns(void **state)
{
	struct harness *h = *state;
	size_t before = 0;

	disconnect(h, &h->relay);
	for (uint64_t id = 100; id < 110; id++) {
		submit_and_wait(h, id, "a@example.org", "b@x.example");
		set_failed(h, id, 1);
	}
	recipient(109, 1)->state = RCPT_DELIVERED;
	recipient(109, 1)->new.notify = NOTIFY_SUCCESS;
	recipient(109, 1)->report_success = true;
	dsns_wake(&h->q->reports);
	for (uint64_t id = 100; id < 110; id++)
		UNTIL(h, report_about(id));
	for (uint64_t id = 100; id < 109; id++)
		before += report_about(id)->m.id < report_about(109)->m.id; /* ids are given in turn */
	assert_true(before <= 1);
}

/* ---- signatures, and what can go wrong ---- */

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
	assert_true(str_eq(r->m.envelope.sign_domain, S("relay.example.org")));
}

/* Without vault, or with a key that cannot be used, the report waits; it is not sent unsigned. */
static void test_vault_away(void **state)
{
	struct harness *h = *state;

	h->config.sign = keys;
	h->config.sign_n = 3;
	fail_delivery(h, 100, "a@example.org", "b@x.example");
	UNTIL(h, h->q->reports.dsns.waiting);
	assert_int_equal(recipient(100, 1)->state, RCPT_FAILED);
	h->vault_fails = true;
	connect_vault(h);
	UNTIL(h, h->signs == 1);
	UNTIL(h, h->q->reports.dsns.waiting);
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
	UNTIL(h, h->q->reports.dsns.waiting);
	assert_null(report_about(100));
	dsns_retry(&h->q->reports);
	UNTIL(h, recipient(100, 1)->state == RCPT_BOUNCED);
}

/* So it is when there is nothing to be stored but that nobody is told. */
static void test_store_refuses_discard(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	recipient(100, 1)->new.notify = NOTIFY_NEVER;
	set_failed(h, 100, 1);
	fake_store->refuse_reports = 1;
	dsns_wake(&h->q->reports);
	UNTIL(h, h->q->reports.dsns.waiting);
	assert_int_equal(recipient(100, 1)->state, RCPT_FAILED);
	dsns_retry(&h->q->reports);
	UNTIL(h, recipient(100, 1)->state == RCPT_DISCARDED);
}

/* While a recipient is in flight the failed ones wait: one report covers them all. */
static void test_waits_for_all(void **state)
{
	struct harness *h = *state;
	struct fake_message *r;

	submit_and_wait(h, 100, "a@example.org", "b@x.example c@y.example");
	UNTIL(h, h->deliveries_n == 1);
	recipient(100, 2)->state = RCPT_FAILED; /* still leased */
	dsns_wake(&h->q->reports);
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
		dsns_retry(&h->q->reports);
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
		cmocka_unit_test_setup_teardown(test_notice_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_notice_limit, setup, teardown),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test_setup_teardown(test_notify_failure, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ret, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay_untold, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delay_of_many, setup, teardown),
		cmocka_unit_test_setup_teardown(test_success, setup, teardown),
		cmocka_unit_test_setup_teardown(test_success_of_null_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_signed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vault_away, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_store_refuses_discard, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_all, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_parent, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
