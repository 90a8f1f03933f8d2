/* test_report.c - what senders are told: failures, delays, successes; each once. */
#include "engine_under_test.h"

static const struct recipient_row *shown(struct fixture *f, uint64_t id, size_t i)
{
	return &((const struct recipient_row *)show_now(f, id, 0, 100).rows)[i];
}

static const struct unreported *told(struct answer a, size_t i)
{
	assert_true(i < a.n);
	return &((const struct unreported *)a.rows)[i];
}

/* A report with this id on message 100. */
static struct accepted *report_of(struct fixture *f, uint64_t id, enum message_kind kind)
{
	struct accepted *m = message(f, id, "a@example.org");

	m->kind = kind;
	m->parent = 100;
	m->envelope.sender = S("");
	return m;
}

static void failures_are_reported_once(void **state)
{
	struct fixture *f = *state;
	static const uint64_t both[] = { 1, 2 };
	struct accepted *report = message(f, 200, "a@example.org");
	const struct unreported *u;
	struct answer a;

	report->kind = KIND_FAILURE;
	report->parent = 100;
	report->envelope.sender = S("");
	assert_int_equal(accept_to(f, 100, "b@a.org c@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 10).n, 1);
	assert_int_equal(settle_now(f, 100, 1, RCPT_FAILED, 0).class, OK);
	assert_int_equal(unreported_now(f, KIND_FAILURE, NOW, 10).n, 0); /* one is in flight */
	assert_int_equal(settle_now(f, 100, 2, RCPT_FAILED, 0).class, OK);
	assert_int_equal(stats_now(f).failed, 2);
	assert_int_equal(stats_now(f).open_messages, 1);
	assert_int_equal(text_now(f, 100).v.class, OK); /* the report quotes it */
	a = unreported_now(f, KIND_FAILURE, NOW, 10);
	assert_int_equal(a.n, 1);
	u = a.rows;
	assert_int_equal(u->id, 100);
	assert_int_equal(u->failed_n, 2);
	assert_str(u->failed[1].address, "c@a.org");
	assert_str(u->failed[1].verdict.text, "no such user");
	assert_int_equal(u->failed[1].verdict.class, PERM);
	assert_int_equal(u->header_size, 12);
	for (int i = 0; i < 2; i++) { /* the second time after a restart that forgot the first */
		assert_int_equal(report_now(f, KIND_FAILURE, report, 100, both, 2).class, OK);
		assert_int_equal(unreported_now(f, KIND_FAILURE, NOW, 10).n, 0);
		assert_int_equal(stats_now(f).failed, 0);
		assert_int_equal(stats_now(f).open_messages, 1); /* the report */
		fixture_reopen(f);
	}
	assert_int_equal(shown(f, 100, 0)->state, RCPT_BOUNCED);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	assert_str(events(f, 100), "mail.accepted recipient.settled recipient.settled mail.reported");
	assert_int_equal(show_now(f, 200, 0, 1).message->parent, 100);
	/* The report fails too: nobody is told. */
	assert_int_equal(settle_now(f, 200, 1, RCPT_FAILED, 0).class, OK);
	assert_int_equal(report_now(f, KIND_FAILURE, NULL, 200, both, 1).class, OK);
	assert_int_equal(shown(f, 200, 0)->state, RCPT_DISCARDED);
	assert_int_equal(stats_now(f).open_messages, 0);
	/* A report with another token does not mark. */
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	assert_int_equal(settle_now(f, 101, 1, RCPT_FAILED, 0).class, OK);
	report->token++;
	assert_int_equal(report_now(f, KIND_FAILURE, report, 101, both, 1).class, PERM);
	assert_int_equal(unreported_now(f, KIND_FAILURE, NOW, 10).n, 1);
}

static void failures_take_turns(void **state)
{
	struct fixture *f = *state;
	static const uint64_t order[] = { 100, 101, 102, 100, 101 };

	for (uint64_t id = 100; id < 103; id++) {
		assert_int_equal(accept_to(f, id, "b@a.org").class, OK);
		assert_int_equal(settle_now(f, id, 1, RCPT_FAILED, 0).class, OK);
	}
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		struct answer a = unreported_now(f, KIND_FAILURE, NOW, 1);

		assert_int_equal(a.n, 1);
		assert_int_equal(((const struct unreported *)a.rows)->id, order[i]);
	}
	assert_int_equal(unreported_now(f, KIND_FAILURE, NOW, 10).n, 3);
}

/* A message of id with warn_at, waiting for a second try. */
static void accept_late(struct fixture *f, uint64_t id, const char *to, uint64_t warn_at)
{
	struct accepted *m = message(f, id, to);

	m->warn_at = warn_at;
	m->envelope.envid = S("E+3Dx");
	m->envelope.ret = 2;
	assert_int_equal(accept_now(f, m).class, OK);
}

static void a_delay_is_told_once(void **state)
{
	struct fixture *f = *state;
	static const uint64_t both[] = { 1, 2 };
	struct accepted *report = report_of(f, 200, KIND_DELAY);
	const struct unreported *u;

	accept_late(f, 100, "b@a.org c@a.org d@b.org", NOW + 50);
	accept_late(f, 101, "b@a.org", 0); /* never */
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 900).class, OK);
	assert_int_equal(settle_now(f, 100, 3, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 49, 10).n, 0);
	assert_int_equal(unreported_now(f, KIND_FAILURE, NOW + 50, 10).n, 0);
	u = told(unreported_now(f, KIND_DELAY, NOW + 50, 10), 0);
	assert_int_equal(u->id, 100);
	assert_int_equal(u->expires_at, NOW + 1000);
	assert_str(u->envelope.envid, "E+3Dx");
	assert_int_equal(u->envelope.ret, 2);
	assert_int_equal(u->failed_n, 2);
	assert_int_equal(u->failed[0].attempts, 1);
	assert_int_equal(u->failed[1].attempts, 0);
	assert_str(u->failed[0].remote, "mx.example.net");
	assert_str(u->failed[0].verdict.text, "greylisted");
	assert_int_equal(u->failed[0].verdict.class, TEMP);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(report_now(f, KIND_DELAY, report, 100, both, 2).class, OK);
		assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 99999, 10).n, 0);
		assert_int_equal(stats_now(f).open_messages, 3);
		fixture_reopen(f);
	}
	/* Another one about the same delay is not stored. */
	assert_int_equal(report_now(f, KIND_DELAY, report_of(f, 201, KIND_DELAY), 100, both, 2).class, OK);
	assert_int_equal(show_now(f, 201, 0, 1).v.class, PERM);
	assert_str(events(f, 100), "mail.accepted recipient.settled recipient.settled mail.reported");
	assert_str(engine_told(f, 100), "2,2,0");
	assert_int_equal(shown(f, 100, 0)->state, RCPT_WAITING);
	assert_int_equal(shown(f, 100, 0)->due_at, NOW + 900);
}

static void delays_that_have_ended_are_not_told(void **state)
{
	struct fixture *f = *state;
	static const uint64_t one[] = { 1 };

	/* Delivered while the warning was being written. */
	accept_late(f, 100, "b@a.org c@b.org", NOW + 50);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 50, 10).n, 1);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(report_now(f, KIND_DELAY, report_of(f, 200, KIND_DELAY), 100, one, 1).class, OK);
	assert_int_equal(show_now(f, 200, 0, 1).v.class, PERM);
	/* In flight, then held: nothing is told; when it is released it is. */
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 50, 10).n, 1);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), NOW, 1).n, 1);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 50, 10).n, 0);
	assert_int_equal(settle_now(f, 100, 2, RCPT_HELD, 0).class, OK);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 50, 10).n, 0);
	assert_int_equal(alter_now(f, (struct selector){ 0 }, ALTER_RELEASE).count, 1);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 50, 10).n, 1);
	/* The sender does not want to know. */
	assert_int_equal(report_now(f, KIND_DELAY, NULL, 100, NULL, 0).class, OK);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 50, 10).n, 0);
	assert_true(str_search(events(f, 100), S("mail.reported")) == events(f, 100).n);
	assert_true(str_search(events(f, 100), S("mail.discarded")) == events(f, 100).n);
	/* Finished before anybody asked. */
	accept_late(f, 101, "b@a.org", NOW + 50);
	assert_int_equal(settle_now(f, 101, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 50, 10).n, 0);
}

static void delays_take_turns(void **state)
{
	struct fixture *f = *state;
	static const uint64_t order[] = { 101, 102, 100, 101 }; /* by warn_at, then by id */

	accept_late(f, 100, "b@a.org", NOW + 60);
	accept_late(f, 101, "b@a.org", NOW + 50);
	accept_late(f, 102, "b@a.org", NOW + 50);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		assert_int_equal(told(unreported_now(f, KIND_DELAY, NOW + 60, 1), 0)->id, order[i]);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 60, 10).n, 3);
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 55, 10).n, 2); /* also when the clock has gone back */
	assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 49, 10).n, 0);
}

static void settle_good(struct fixture *f, uint64_t id, uint64_t n, enum recipient_state state)
{
	struct outcome o = {
		.id = id, .n = n, .state = state, .report_success = true, .at = NOW + 5, .attempted = true, .due_at = NOW + 9
	};
	struct answer a = { .f = f };

	o.verdict = state == RCPT_FAILED ? perm(550, S("5.1.1"), S("no such user"))
					 : (struct verdict){ OK, 250, S("2.0.0"), S("taken") };
	settle_begin(f, &o, 1, &a);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
}

static void success_keeps_the_message_open(void **state)
{
	struct fixture *f = *state;
	static const uint64_t one[] = { 1 }, two[] = { 2 };
	struct accepted *m = message(f, 100, "b@a.org c@a.org d@b.org"), *report = report_of(f, 200, KIND_SUCCESS);
	struct new_recipient r[3];
	const struct unreported *u;

	memcpy(r, m->recipients, sizeof(r));
	r[0].orcpt = S("rfc822;B@a.org");
	r[0].notify = 5;
	m->recipients = r;
	assert_int_equal(accept_now(f, m).class, OK);
	settle_good(f, 100, 1, RCPT_RELAYED);
	settle_good(f, 100, 2, RCPT_DELIVERED);
	settle_good(f, 100, 3, RCPT_FAILED); /* that is told otherwise */
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 3);
	fixture_reopen(f);
	u = told(unreported_now(f, KIND_SUCCESS, NOW, 10), 0);
	assert_int_equal(u->id, 100);
	assert_int_equal(u->failed_n, 2);
	assert_str(u->failed[0].orcpt, "rfc822;B@a.org");
	assert_int_equal(u->failed[0].notify, 5);
	assert_int_equal(u->failed[0].verdict.code, 250);
	assert_int_equal(told(unreported_now(f, KIND_FAILURE, NOW, 10), 0)->failed_n, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(report_now(f, KIND_SUCCESS, report, 100, one, 1).class, OK);
		assert_int_equal(show_now(f, 100, 0, 1).message->open, 2);
		fixture_reopen(f);
	}
	assert_int_equal(shown(f, 100, 0)->state, RCPT_RELAYED);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_REMOVE).count,
			 0); /* there is nothing left to remove */
	assert_int_equal(told(unreported_now(f, KIND_SUCCESS, NOW, 10), 0)->failed_n, 1);
	assert_int_equal(text_now(f, 100).v.class, OK);
	assert_int_equal(report_now(f, KIND_SUCCESS, NULL, 100, two, 1).class, OK);
	assert_int_equal(unreported_now(f, KIND_SUCCESS, NOW, 10).n, 0);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 1);
	assert_int_equal(report_now(f, KIND_FAILURE, NULL, 100, (const uint64_t[]){ 3 }, 1).class, OK);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	assert_int_equal(text_now(f, 100).v.class, PERM);
	assert_str(engine_told(f, 100), "4,0,1");
	assert_str(events(f, 100), "mail.accepted mail.reported mail.discarded");
}

static void success_waits_for_those_in_flight(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), NOW, 1).n, 1);
	settle_good(f, 100, 1, RCPT_DELIVERED);
	assert_int_equal(unreported_now(f, KIND_SUCCESS, NOW, 10).n, 0);
	settle_good(f, 100, 2, RCPT_WAITING);
	assert_int_equal(told(unreported_now(f, KIND_SUCCESS, NOW, 10), 0)->failed_n, 1);
	assert_int_equal(unreported_now(f, KIND_NOTICE, NOW, 10).v.class, PERM);
	assert_int_equal(report_now(f, KIND_MAIL, NULL, 100, NULL, 0).class, PERM);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(failures_are_reported_once),          CASE(failures_take_turns), CASE(a_delay_is_told_once),
		CASE(delays_that_have_ended_are_not_told), CASE(delays_take_turns),   CASE(success_keeps_the_message_open),
		CASE(success_waits_for_those_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
