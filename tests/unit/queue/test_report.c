/* test_report.c - failures and who is told. */
#include "stored.h"

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

/* The first report about message `parent`; NULL. */
static const struct accepted *report_about(uint64_t parent)
{
	char sql[80];

	snprintf(sql, sizeof sql, "SELECT min(id) FROM message WHERE parent=%llu", (unsigned long long)parent);
	return stored(stored_number(sql));
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
	const struct accepted *r;

	fail_delivery(h, 100, "a@example.org", "b@x.example c@y.example");
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_int_equal(r->kind, KIND_FAILURE);
	assert_int_equal(r->envelope.sender.n, 0);
	assert_int_equal(r->recipients_n, 1);
	assert_true(str_eq(recipient(r->id, 1)->address, S("a@example.org")));
	assert_int_equal(r->prefix.n, 0);
	assert_int_equal(r->size, r->text.n);
	assert_true(str_starts(str_from(r->text, r->header_size), S("\r\n")));
	assert_true(contains(r->text, "b@x.example"));
	assert_true(contains(r->text, "c@y.example"));
	assert_true(contains(r->text, "no such user here"));
	assert_true(contains(r->text, "smtp.isp.example"));
	assert_true(contains(r->text, "Subject: hello"));
	assert_false(contains(r->text, "body\r\n"));
	UNTIL(h, recipient(100, 1)->state == RCPT_BOUNCED);
	assert_int_equal(recipient(100, 2)->state, RCPT_BOUNCED);
	assert_true(stored_event(100, "mail.reported", "to=a@example.org recipients=2"));
	UNTIL(h, h->deliveries_n == 2);
	assert_true(str_eq(h->deliveries[1].addresses[0], S("a@example.org")));
	assert_int_equal(h->deliveries[1].sender.n, 0);
}

static void on_settled(void *ctx, struct verdict v)
{
	assert_int_equal(v.class, OK);
	*(bool *)ctx = true;
}

static void set_outcome(struct harness *h, struct outcome o)
{
	bool done = false;

	o.due_at = o.at = fake_now;
	store_settle(h->q->store, &o, 1, on_settled, &done);
	UNTIL(h, done);
}

/* What an attempt would have left behind; to be called while there is no relay. */
static void set_state(struct harness *h, uint64_t id, uint64_t n, enum recipient_state state, struct verdict v)
{
	set_outcome(h, (struct outcome){
			       .id = id, .n = n, .state = state, .verdict = v, .remote = S("smtp.isp.example [192.0.2.1]") });
}

static void set_failed(struct harness *h, uint64_t id, uint64_t n)
{
	set_state(h, id, n, RCPT_FAILED, perm(550, S("5.1.1"), S("no such user here")));
}

/* Delivered to a next hop that does not tell of that. */
static void set_good(struct harness *h, uint64_t id, uint64_t n)
{
	set_outcome(h, (struct outcome){ .id = id,
					 .n = n,
					 .state = RCPT_DELIVERED,
					 .report_success = true,
					 .verdict = ok_text(250, S("2.0.0"), S("queued as 4711")),
					 .remote = S("smtp.isp.example [192.0.2.1]") });
}

static void set_notify(uint64_t id, uint64_t n, unsigned notify)
{
	char sql[100];

	snprintf(sql, sizeof sql, "UPDATE recipient SET notify=%u WHERE message=%llu AND n=%llu", notify, (unsigned long long)id,
		 (unsigned long long)n);
	store_sql(sql);
}

static void set_ret(uint64_t id, unsigned ret)
{
	char sql[80];

	snprintf(sql, sizeof sql, "UPDATE message SET ret=%u WHERE id=%llu", ret, (unsigned long long)id);
	store_sql(sql);
}

/* A report never causes a report: the postmaster is told, in a note whose own failure is told to nobody. */
static void test_failed_report(void **state)
{
	struct harness *h = *state;
	const struct accepted *report, *note;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	set_failed(h, 100, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	report = report_about(100);
	set_failed(h, report->id, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(report->id));
	note = report_about(report->id);
	assert_int_equal(note->kind, KIND_NOTICE);
	assert_int_equal(note->envelope.sender.n, 0);
	assert_int_equal(note->recipients_n, 1);
	assert_true(str_eq(recipient(note->id, 1)->address, S("postmaster@example.org")));
	assert_int_equal(note->size, note->text.n);
	assert_true(str_starts(str_from(note->text, note->header_size), S("\r\n")));
	assert_true(contains(note->text, "a@example.org"));
	assert_true(contains(note->text, "550 5.1.1 no such user here"));
	assert_true(contains(note->text, "smtp.isp.example"));
	assert_int_equal(recipient(report->id, 1)->state, RCPT_BOUNCED);
	assert_true(stored_event(report->id, "mail.reported", "to=postmaster@example.org"));
	set_failed(h, note->id, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, recipient(note->id, 1)->state == RCPT_DISCARDED);
	assert_true(stored_event(note->id, "mail.discarded", "a notice of the relay's own"));
	run_quiet(h);
	assert_int_equal(stored_messages(), 3);
}

/* So it is with a user's message that has no sender. */
static void test_null_sender(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "", "b@x.example c@y.example");
	set_failed(h, 100, 1);
	set_state(h, 100, 2, RCPT_FAILED, perm(550, S("5.1.1"), S("caf\xc3\xa9\r\nX: y")));
	set_notify(100, 2, NOTIFY_NEVER); /* what senders want does not concern the postmaster */
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	assert_int_equal(report_about(100)->kind, KIND_NOTICE);
	assert_true(contains(report_about(100)->text, "b@x.example"));
	assert_true(contains(report_about(100)->text, "550 5.1.1 caf\xc3\xa9 X: y\r\n"));
	assert_true(contains(report_about(100)->text, "Login: alice"));
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
	for (uint64_t n = 1; n <= 40; n++)
		set_outcome(h, (struct outcome){ .id = 100,
						 .n = n,
						 .state = RCPT_FAILED,
						 .verdict = perm(550, str_of(reply), str_of(reply)),
						 .remote = str_of(reply) });
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	assert_true(contains(report_about(100)->text, "and 25 more"));
	assert_true(report_about(100)->size <= INLINE_MAX);
	assert_true(stored_event(100, "mail.reported", "recipients=40"));
	arena_fini(&a);
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
	h->config.queue.keep_history_ms = 86400000;
	h->q->reports.dsns.copies = (struct postmaster_copies){ .since = fake_now, .n = 60 };
	submit_and_wait(h, 100, "", "b@x.example");
	set_failed(h, 100, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, recipient(100, 1)->state == RCPT_DISCARDED);
	assert_true(stored_event(100, "mail.discarded", "too many notes"));
	assert_int_equal(stored_messages(), 1);
	assert_int_equal(h->q->reports.dsns.copies.skipped, 1);
	fake_now += 3600000; /* when the hour is over, a note tells of all */
	advance(h, 60000);
	UNTIL(h, stored_messages() == 2);
	assert_int_equal(h->q->reports.dsns.copies.skipped, 0);
	assert_int_equal(stored_notices(NULL, "1 more messages without a return address"), 1);
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
	const struct accepted *r;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "a@example.org", "b@x.example c@x.example d@x.example e@x.example");
	set_notify(100, 1, NOTIFY_NEVER);
	set_notify(100, 3, NOTIFY_SUCCESS | NOTIFY_DELAY);
	set_notify(100, 4, NOTIFY_FAILURE);
	store_sql("UPDATE recipient SET orcpt='rfc822;Eve+2Bold@y.example' WHERE n=4; UPDATE message SET envid='QQ+2B314'");
	for (uint64_t n = 1; n <= 4; n++)
		set_failed(h, 100, n);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_false(contains(r->text, "b@x.example"));
	assert_true(contains(r->text, "c@x.example"));
	assert_false(contains(r->text, "d@x.example"));
	assert_true(contains(r->text, "e@x.example"));
	assert_true(contains(r->text, "Original-Recipient: rfc822; Eve+old@y.example\r\n"));
	assert_true(contains(r->text, "Original-Envelope-Id: QQ+314\r\n"));
	assert_int_equal(recipient(100, 1)->state, RCPT_DISCARDED);
	assert_int_equal(recipient(100, 2)->state, RCPT_BOUNCED);
	assert_int_equal(recipient(100, 3)->state, RCPT_DISCARDED);
	assert_int_equal(recipient(100, 4)->state, RCPT_BOUNCED);
	assert_true(stored_event(100, "mail.discarded", "(NOTIFY)\" recipients=2"));
	assert_true(stored_event(100, "mail.reported", "recipients=2"));
	run_quiet(h);
	assert_int_equal(stored_messages(), 2);
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
		set_ret(id, rows[i].ret);
		set_failed(h, id, 1);
		dsns_wake(&h->q->reports);
		UNTIL(h, report_about(id));
		assert_true(contains(report_about(id)->text, "Subject: hello\r\n"));
		assert_int_equal(contains(report_about(id)->text, "The body"), rows[i].whole);
		assert_int_equal(contains(report_about(id)->text, "\r\nContent-Type: message/rfc822\r\n"), rows[i].whole);
		assert_int_equal(report_about(id)->envelope.body, rows[i].whole ? 1 : 0);
		assert_true(report_about(id)->size <= INLINE_MAX);
	}
}

/* ---- warnings ---- */

#define WARN_MS (4ull * 3600000)

/* Once per message, about those that still wait and whose sender wants to hear of it. */
static void test_delay(void **state)
{
	struct harness *h = *state;
	const struct accepted *r;

	disconnect(h, &h->relay);
	h->config.queue.warn_after_ms = WARN_MS;
	submit_and_wait(h, 100, "a@example.org", "b@x.example c@x.example d@x.example e@x.example f@x.example");
	set_notify(100, 1, NOTIFY_NEVER);
	set_state(h, 100, 2, RCPT_DELIVERED, ok());
	set_notify(100, 3, NOTIFY_DELAY);
	set_state(h, 100, 4, RCPT_WAITING, temp(451, S("4.7.1"), S("greylisted")));
	set_notify(100, 5, NOTIFY_FAILURE | NOTIFY_SUCCESS);
	set_ret(100, RET_FULL);
	fake_now += WARN_MS - 1;
	dsns_wake(&h->q->reports);
	run_quiet(h);
	assert_null(report_about(100));
	fake_now += 1;
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_int_equal(r->kind, KIND_DELAY);
	assert_int_equal(r->envelope.sender.n, 0);
	assert_int_equal(r->warn_at, 0);
	assert_true(str_eq(recipient(r->id, 1)->address, S("a@example.org")));
	assert_true(contains(r->text, "Action: delayed\r\n"));
	assert_true(contains(r->text, "Will-Retry-Until: "));
	assert_true(contains(r->text, "greylisted"));
	assert_true(contains(r->text, "d@x.example"));
	assert_true(contains(r->text, "e@x.example"));
	assert_false(contains(r->text, "b@x.example"));
	assert_false(contains(r->text, "c@x.example"));
	assert_false(contains(r->text, "f@x.example"));
	assert_false(contains(r->text, "body\r\n")); /* RET is about failures */
	assert_true(stored_event(100, "mail.reported", "recipients=2"));
	assert_int_equal(recipient(100, 4)->state, RCPT_WAITING);
	fake_now += WARN_MS;
	dsns_wake(&h->q->reports);
	run_quiet(h);
	assert_int_equal(store_runs(REQUEST_REPORT), 1);
	assert_int_equal(stored_messages(), 2);
}

/* Nobody to warn, or nobody who wants it: the store is told so, and does not list it again. */
static void test_delay_untold(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	h->config.queue.warn_after_ms = WARN_MS;
	submit_and_wait(h, 100, "", "b@x.example");
	store_sql("UPDATE message SET warn_at=received_at+4*3600000"); /* as an older version would have had it */
	submit_and_wait(h, 101, "a@example.org", "b@x.example c@x.example");
	set_notify(101, 1, NOTIFY_NEVER);
	set_notify(101, 2, NOTIFY_FAILURE);
	fake_now += WARN_MS;
	dsns_wake(&h->q->reports);
	UNTIL(h, stored(100)->warn_at == 0 && stored(101)->warn_at == 0);
	run_quiet(h);
	assert_int_equal(store_runs(REQUEST_REPORT), 2);
	assert_int_equal(stored_messages(), 2);
	assert_false(stored_event(101, "mail.discarded", ""));
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
		set_state(h, 100, n, RCPT_WAITING, temp(451, S("4.0.0"), str_of(reply)));
	fake_now += WARN_MS;
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	assert_true(stored_event(100, "mail.reported", "recipients=60"));
	assert_true(report_about(100)->size <= INLINE_MAX);
	arena_fini(&a);
}

/* ---- success ---- */

/* RFC 3461 5.2.2: the next hop does not tell of successes, so we say that the message went there. */
static void test_success(void **state)
{
	struct harness *h = *state;
	const struct accepted *r;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "a@example.org", "b@x.example c@x.example");
	set_notify(100, 1, NOTIFY_SUCCESS);
	set_good(h, 100, 1);
	set_state(h, 100, 2, RCPT_DELIVERED, ok());
	set_ret(100, RET_FULL);
	dsns_wake(&h->q->reports);
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_int_equal(r->kind, KIND_SUCCESS);
	assert_true(contains(r->text, "Action: relayed\r\n"));
	assert_true(contains(r->text, "Status: 2."));
	assert_true(contains(r->text, "b@x.example"));
	assert_false(contains(r->text, "c@x.example"));
	assert_false(contains(r->text, "body\r\n"));
	assert_false(recipient(100, 1)->report_success);
	assert_int_equal(recipient(100, 1)->state, RCPT_DELIVERED);
	run_quiet(h);
	assert_int_equal(stored_messages(), 2);
}

static void test_success_of_null_sender(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 100, "", "b@x.example");
	set_notify(100, 1, NOTIFY_SUCCESS);
	set_good(h, 100, 1);
	dsns_wake(&h->q->reports);
	UNTIL(h, !recipient(100, 1)->report_success);
	assert_int_equal(stored_messages(), 1);
}

/* A flood of failures does not keep the other kinds waiting. */
static void test_turns(void **state)
{
	struct harness *h = *state;
	size_t before = 0;

	disconnect(h, &h->relay);
	for (uint64_t id = 100; id < 110; id++) {
		submit_and_wait(h, id, "a@example.org", "b@x.example");
		if (id < 109)
			set_failed(h, id, 1);
	}
	set_notify(109, 1, NOTIFY_SUCCESS);
	set_good(h, 109, 1);
	dsns_wake(&h->q->reports);
	for (uint64_t id = 100; id < 110; id++)
		UNTIL(h, report_about(id));
	for (uint64_t id = 100; id < 109; id++)
		before += report_about(id)->id < report_about(109)->id; /* ids are given in turn */
	assert_true(before <= 1);
}

/* ---- signatures, and what can go wrong ---- */

static void test_signed(void **state)
{
	struct harness *h = *state;
	const struct accepted *r;
	const char *ed25519;

	h->config.sign = keys;
	h->config.sign_n = 3;
	connect_vault(h);
	fail_delivery(h, 100, "a@example.org", "b@x.example");
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_true(str_eq(h->sign_domain, S("relay.example.org")));
	assert_true(str_starts(r->prefix, S("DKIM-Signature:")));
	assert_true(str_ends(r->prefix, S("\r\n")));
	assert_true(contains(r->prefix, "s=p1r"));
	ed25519 = "s=p1e";
	assert_true(contains(r->prefix, ed25519));
	assert_false(contains(r->prefix, "other.example"));
	assert_true(str_eq(r->envelope.sign_domain, S("relay.example.org")));
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

	store_refuse(REQUEST_REPORT, 1);
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
	set_notify(100, 1, NOTIFY_NEVER);
	set_failed(h, 100, 1);
	store_refuse(REQUEST_REPORT, 1);
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
	const struct accepted *r;

	submit_and_wait(h, 100, "a@example.org", "b@x.example c@y.example");
	UNTIL(h, h->deliveries_n == 1);
	set_failed(h, 100, 2); /* the other one is still leased */
	dsns_wake(&h->q->reports);
	run_quiet(h);
	assert_null(report_about(100));
	answer(h, &h->deliveries[0], perm(550, S("5.1.1"), S("no")));
	UNTIL(h, report_about(100));
	r = report_about(100);
	assert_true(contains(r->text, "b@x.example"));
	assert_true(contains(r->text, "c@y.example"));
}

/* A report stays within what travels inline, whatever the original and the answers were. */
static void test_bounded(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };
	char *text = arena_alloc(&a, 62 * 1024);
	char *reply = arena_alloc(&a, 1500);
	size_t before = h->answers_n;
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
	assert_true(stored_number("SELECT max(size) FROM message WHERE parent=100") <= INLINE_MAX);
	/* 60 answers of 1000 bytes, told twice each */
	assert_true(stored_number("SELECT count(*) FROM message WHERE parent=100") >= 2);
	arena_fini(&a);
}

/* A large message's header is read from its file; one that is lost is not quoted, but told. */
static void test_large_parent(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	for (uint64_t id = 100; id <= 101; id++) {
		submit_file_and_wait(h, id, "a@example.org", "b@x.example");
		if (id == 101)
			store_lose_files();
		set_state(h, id, 1, RCPT_FAILED, perm(550, S("5.0.0"), S("no")));
		dsns_retry(&h->q->reports);
		UNTIL(h, report_about(id));
		assert_int_equal(contains(report_about(id)->text, "Subject: large"), id == 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_report, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_failed_report, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_null_sender, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_notice_bounded, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_notice_limit, setup, harness_teardown),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test_setup_teardown(test_notify_failure, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_ret, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_delay, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_delay_untold, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_delay_timer, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_delay_of_many, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_success, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_success_of_null_sender, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_signed, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_vault_away, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_store_refuses, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_store_refuses_discard, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_all, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_large_parent, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
