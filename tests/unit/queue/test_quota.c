/* test_quota.c - limits of logins and devices: what passes, what is reserved, what is held, and what a restart must not change. */
#include "stored.h"
#include "visits.h"

static struct rate three_an_hour[] = { { 3, 3600000 } }, two_rates[] = { { 3, 3600000 }, { 4, 86400000 } },
		   five_recipients[] = { { 5, 3600000 } }, few_bytes[] = { { 180, 3600000 } }, two_new[] = { { 2, 3600000 } },
		   one_an_hour[] = { { 1, 3600000 } }, ten_an_hour[] = { { 10, 3600000 } };
static struct cfg_limits_user users[2];

#define RULE   "messages 3/1h"
#define KEY    "user:alice@example.org"
#define MINUTE 60000ull

static int setup(void **state)
{
	*state = harness_new();
	memset(users, 0, sizeof users);
	return 0;
}

static void three_messages(struct harness *h)
{
	h->config.limits.messages = (struct rate_list){ three_an_hour, 1 };
}

/* Three at once, then one each twenty minutes; the row is written with the message. */
static void test_messages(void **state)
{
	struct harness *h = *state;
	struct verdict v;

	three_messages(h);
	visits_begin(h);
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	assert_int_equal(stored_tat(KEY, RULE), (START_MS + 60 * MINUTE) * 1000);
	v = submit_one(h, 4, "b@x.example");
	assert_int_equal(v.code, 450);
	assert_true(str_eq(v.enhanced, S("4.7.1")));
	assert_true(holds(v.text, "3 of 3 messages per hour are used, try again in 20 minutes"));
	assert_null(stored(4));
	fake_now += 20 * MINUTE;
	assert_int_equal(submit_one(h, 5, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 6, "b@x.example").code, 450);
	h->login = S("bob@example.org");
	assert_int_equal(submit_one(h, 7, "b@x.example").class, OK);
	h->login = S("ALICE@example.org"); /* the same account to some back-ends */
	assert_int_equal(submit_one(h, 8, "b@x.example").code, 450);
	assert_int_equal(store_runs(REQUEST_KNOWN), 0);
	assert_int_equal(store_runs(REQUEST_BUCKET_PUT), 0);
}

static void test_several_rates(void **state)
{
	struct harness *h = *state;

	h->config.limits.messages = (struct rate_list){ two_rates, 2 };
	visits_begin(h);
	for (uint64_t id = 1; id <= 3; id++)
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 4, "b@x.example").code, 450);
	fake_now += 60 * MINUTE;
	assert_int_equal(submit_one(h, 5, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 6, "b@x.example").code, 450);
	assert_true(holds(h->answer.text, "4 of 4 messages per day"));
}

/* Recipients, bytes, and what can never pass. */
static void test_other_kinds(void **state)
{
	struct harness *h = *state;

	h->config.limits.recipients = (struct rate_list){ five_recipients, 1 };
	visits_begin(h);
	assert_int_equal(submit_one(h, 1, "a@x.example b@x.example c@x.example").class, OK);
	assert_int_equal(submit_one(h, 2, "a@x.example b@x.example c@x.example").code, 450);
	assert_true(holds(h->answer.text, "3 of 5 recipients per hour are used, try again in 12 minutes"));
	assert_int_equal(submit_one(h, 3, "a@x.example b@x.example").class, OK);
	assert_int_equal(submit_one(h, 4, "a@x b@x c@x d@x e@x f@x").code, 552);
	h->config.limits.recipients.n = 0;
	h->config.limits.bytes = (struct rate_list){ few_bytes, 1 };
	queue_ops.apply(harness_role());
	for (uint64_t id = 10; id < 13; id++) /* 49 bytes each */
		assert_int_equal(submit_one(h, id, "a@x.example").class, OK);
	assert_int_equal(submit_one(h, 13, "a@x.example").code, 450);
	assert_true(holds(h->answer.text, "of 180 bytes per hour"));
	submit(h, 14, 1, "a@example.org", "b@x.example",
	       "Subject: 0123456789012345678901234567890123456789012345678901234567890123456789\r\n\r\n"
	       "01234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n"
	       "01234567890123456789012345678901234567890123456789012345678901234567890123456789\r\n");
	UNTIL(h, h->answers_n >= 9);
	assert_int_equal(h->answer.code, 552);
	assert_true(str_eq(h->answer.enhanced, S("5.3.4")));
}

/* Only recipients to whom the login has never written; the store is asked once. */
static void test_new_recipients(void **state)
{
	struct harness *h = *state;

	h->config.limits.new_recipients = (struct rate_list){ two_new, 1 };
	visits_begin(h);
	store_remember(h, ALICE, "old@x.example");
	assert_int_equal(submit_one(h, 1, "old@x.example b@x.example").class, OK);
	assert_int_equal(submit_one(h, 2, "Old@X.example B@x.example").class, OK);
	assert_int_equal(submit_one(h, 3, "c@x.example").class, OK);
	assert_true(store_remembers);
	assert_int_equal(store_runs(REQUEST_KNOWN), 2); /* the second one was known by then */
	assert_int_equal(submit_one(h, 4, "d@x.example").code, 450);
	assert_true(holds(h->answer.text, "2 of 2 new recipients per hour"));
	assert_int_equal(submit_one(h, 5, "c@x.example").class, OK);
	assert_false(store_remembers);
}

/* What a client is told early, and what it holds until it is over. */
static void test_reserve(void **state)
{
	struct harness *h = *state;

	three_messages(h);
	h->config.limits.recipients = (struct rate_list){ five_recipients, 1 };
	h->config.limits.bytes = (struct rate_list){ few_bytes, 1 };
	visits_begin(h);
	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
	assert_int_equal(visit_reserving, 3);
	assert_int_equal(admit(h, 2, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 2, ALICE, "", true).class, OK);
	for (uint64_t t = 1; t <= 3; t++)
		assert_int_equal(reserve_message(h, 1, t, 0).class, OK);
	assert_int_equal(reserve_message(h, 2, 4, 0).code, 450);
	assert_int_equal(submit_one(h, 99, "b@x.example").code, 450); /* not at the cost of who was promised */
	ipc_send_abandon_transaction(h->submission, &(struct msg_abandon_transaction){ .transaction = 3 }, -1);
	assert_int_equal(reserve_message(h, 2, 4, 500).code, 552); /* SIZE: never */
	assert_int_equal(reserve_message(h, 2, 4, 100).class, OK);
	assert_int_equal(reserve_message(h, 2, 5, 0).code, 450);
	for (int i = 0; i < 5; i++)
		assert_int_equal(reserve_recipient(h, 1, 1, "b@x.example").class, OK);
	assert_int_equal(reserve_recipient(h, 1, 1, "b@x.example").code, 450);
	assert_true(holds(h->answer.text, "5 of 5 recipients per hour are used, try again in 12 minutes"));
	/* the message is there: charged as it is */
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_int_equal(stored_tat(KEY, RULE), (START_MS + 20 * MINUTE) * 1000);
	assert_int_equal(reserve_recipient(h, 1, 2, "b@x.example").class, OK);
	leave(h, 1);
	leave(h, 2);
	assert_int_equal(submit_one(h, 5, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 6, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 7, "b@x.example").code, 450);
	assert_int_equal(h->q->accounting.admission.reservations.n, 0);
	for (int kind = 0; kind < METER_KINDS; kind++)
		assert_int_equal(account_of(&h->q->accounting, S(ALICE))->reserved[kind], 0);
}

static void on_no_answer(void *ctx, struct verdict v, const struct msg_reserved *m, int fd)
{
	assert_null(m);
}

static void test_reserve_new(void **state)
{
	struct harness *h = *state;

	h->config.limits.new_recipients = (struct rate_list){ two_new, 1 };
	visits_begin(h);
	store_remember(h, ALICE, "old@x.example");
	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
	assert_int_equal(visit_reserving, 2);
	assert_int_equal(reserve_recipient(h, 1, 1, "old@x.example").class, OK);
	assert_int_equal(reserve_recipient(h, 1, 1, "c@x.example").class, OK);
	assert_int_equal(reserve_recipient(h, 1, 1, "d@x.example").class, OK);
	assert_int_equal(reserve_recipient(h, 1, 1, "e@x.example").code, 450);
	assert_int_equal(reserve_recipient(h, 1, 1, "old@x.example").class, OK);
	assert_int_equal(store_runs(REQUEST_KNOWN), 4); /* the last one was remembered */
	/* a question whose channel has gone ends quietly */
	ipc_call_reserve(h->submission, &(struct msg_reserve){ .session = 1, .transaction = 2, .recipient = S("f@x.example") },
			 -1, on_no_answer, h);
	disconnect(h, &h->submission);
	run_quiet(h);
}

/* A recipient that no client can name ends the channel, before the store is asked. */
static void test_reserve_absurd(void **state)
{
	struct harness *h = *state;
	static char text[100000];

	h->config.limits.new_recipients = (struct rate_list){ two_new, 1 };
	visits_begin(h);
	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
	memset(text, 'x', sizeof(text) - 1);
	ipc_call_reserve(h->submission, &(struct msg_reserve){ .session = 1, .transaction = 1, .recipient = str_of(text) }, -1,
			 on_no_answer, h);
	UNTIL(h, h->closed_submission);
	assert_int_equal(store_runs(REQUEST_KNOWN), 0);
}

/* A device password, or a listed host, has limits beside those of its login. */
static void test_devices(void **state)
{
	struct harness *h = *state;
	struct str network = S("192.0.2.0/24");
	struct str all = S("*");
	struct cfg_device device = { .networks = { &network, 1 },
				     .user = S(ALICE),
				     .sender = S("a@example.org"),
				     .recipients = { &all, 1 },
				     .messages = { one_an_hour, 1 } };

	h->config.limits.messages = (struct rate_list){ ten_an_hour, 1 };
	users[0] = (struct cfg_limits_user){ .user = S(ALICE "/phone"), .messages = { one_an_hour, 1 } };
	h->config.limits.users = users;
	h->config.limits.users_n = 1;
	h->config.devices = &device;
	h->config.devices_n = 1;
	visits_begin(h);
	h->device = S("phone");
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 2, "b@x.example").code, 450);
	assert_true(holds(h->answer.text, "over the limit of this device: 1 of 1 messages per hour"));
	h->device = S("");
	assert_int_equal(submit_one(h, 3, "b@x.example").class, OK);
	h->device = S("@192.0.2.1");
	assert_int_equal(submit_one(h, 4, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 5, "b@x.example").code, 450);
	h->device = S("@192.0.2.2"); /* each host by itself */
	assert_int_equal(submit_one(h, 6, "b@x.example").class, OK);
	assert_int_equal(limit_row(limits_show(h, ALICE), KEY, "messages 10/1h")->used, 4);
	assert_int_equal(limit_row(limits_show(h, ALICE), "device:alice@example.org/phone", "messages 1/1h")->used, 1);
	accounts_collect(&h->q->accounting, fake_now); /* nobody is there any more */
	assert_int_equal(limit_row(limits_show(h, ALICE), KEY, "messages 10/1h")->used, 4);
	assert_int_equal(limit_row(limits_show(h, ""), "device:alice@example.org/phone", "messages 1/1h")->used, 1);
	h->device = S("");
	h->config.devices_n = 0;
}

/* Many at once: no more come through than may, though none is stored yet. A refused accept gives back what it took. */
static void test_at_once(void **state)
{
	struct harness *h = *state;
	size_t good = 0;

	three_messages(h);
	visits_begin(h);
	store_refuse(REQUEST_ACCEPT, 1);
	store_hold(REQUEST_ACCEPT); /* all are judged before the store gives a place back, which the next one would take */
	for (uint64_t id = 1; id <= 10; id++)
		submit(h, id, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 7);
	store_go_on();
	UNTIL(h, h->answers_n == 10);
	for (uint64_t id = 1; id <= 10; id++)
		good += stored(id) != NULL;
	assert_int_equal(good, 2);
	UNTIL(h, stored_tat(KEY, RULE) == (START_MS + 40 * MINUTE) * 1000);
	assert_int_equal(submit_one(h, 11, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 12, "b@x.example").code, 450);
}

/* A restart forgets nothing. A message that comes again over a new channel, stored already, is neither refused nor charged; one that was
 * not stored is judged as ever. */
static void test_again(void **state)
{
	struct harness *h = *state;
	uint64_t id = (START_MS << 21) + 1;

	three_messages(h);
	visits_begin(h);
	assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	disconnect(h, &h->submission);
	fake_now += 1000;
	connect_submission(h);
	assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	assert_int_equal(limit_row(limits_show(h, ALICE), KEY, RULE)->used, 1);
	assert_int_equal(submit_one(h, id + 1, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, id + 2, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, id + 3, "b@x.example").code, 450);
	assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
	h = visits_restart(state, three_messages);
	assert_int_equal(submit_one(h, id + 4, "b@x.example").code, 450);
	assert_int_equal(limit_row(limits_show(h, ALICE), KEY, RULE)->used, 3);
	/* another rate begins anew, the same one goes on */
	h->config.limits.messages = (struct rate_list){ ten_an_hour, 1 };
	queue_ops.apply(harness_role());
	assert_int_equal(submit_one(h, id + 5, "b@x.example").class, OK);
	three_messages(h);
	queue_ops.apply(harness_role());
	assert_int_equal(submit_one(h, id + 6, "b@x.example").code, 450);
	assert_int_equal(limits_reset(h, ALICE), 2);
	assert_null(stored_bucket(KEY, RULE));
	assert_int_equal(submit_one(h, id + 7, "b@x.example").class, OK);
}

/* ---- several nodes: the store judges the charges ---- */

/* Another node has used the limit up: the reply is that of this node's own limit, and from then on it comes without the store. */
static void test_over_elsewhere(void **state)
{
	struct harness *h = *state;

	three_messages(h);
	visits_begin(h);
	store_share((START_MS + 60 * MINUTE) * 1000, 1);
	assert_int_equal(submit_one(h, 1, "b@x.example").code, 450);
	assert_true(str_eq(h->answer.enhanced, S("4.7.1")));
	assert_true(holds(h->answer.text, "3 of 3 messages per hour are used, try again in 20 minutes"));
	assert_null(stored(1));
	assert_int_equal(store_runs(REQUEST_ACCEPT), 1);
	assert_int_equal(submit_one(h, 2, "b@x.example").code, 450);
	assert_int_equal(store_runs(REQUEST_ACCEPT), 1);
	store_share(0, 0);
	fake_now += 20 * MINUTE;
	assert_int_equal(submit_one(h, 3, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 4, "b@x.example").code, 450);
}

/* An answer that all is well tells what others have charged. */
static void test_learned_from_answers(void **state)
{
	struct harness *h = *state;

	three_messages(h);
	visits_begin(h);
	store_share((START_MS + 60 * MINUTE) * 1000, 0);
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 2, "b@x.example").code, 450);
	assert_int_equal(store_runs(REQUEST_ACCEPT), 1);
}

/* The state of a node whose clock is ahead is a full bucket, not an empty one. */
static void test_clock_elsewhere(void **state)
{
	struct harness *h = *state;

	three_messages(h);
	visits_begin(h);
	store_share((START_MS + 61 * MINUTE) * 1000, 0);
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_int_equal(submit_one(h, 2, "b@x.example").code, 450);
}

/* Where mail over the limit is held, it is held, and not charged. */
static void test_held_because_of_others(void **state)
{
	struct harness *h = *state;

	three_messages(h);
	h->config.limits.over = OVER_HOLD;
	visits_begin(h);
	store_share((START_MS + 60 * MINUTE) * 1000, 1);
	assert_int_equal(submit_one(h, 1, "b@x.example").class, OK);
	assert_true(holds(stored(1)->held, "over the limit of this login: 3 of 3 messages"));
	UNTIL(h, stored_notices("alice@example.org", "") > 0);
}

/* The store says again and again that a charge is over, and its states say that it fits: the client comes again. */
static void test_over_for_ever(void **state)
{
	struct harness *h = *state;

	three_messages(h);
	visits_begin(h);
	store_share(START_MS * 1000, 1000);
	assert_int_equal(submit_one(h, 1, "b@x.example").code, 450);
	assert_int_equal(store_runs(REQUEST_ACCEPT), 3);
	store_share(0, 0);
	for (uint64_t id = 2; id <= 4; id++) /* nothing stays charged */
		assert_int_equal(submit_one(h, id, "b@x.example").class, OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_messages, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_several_rates, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_other_kinds, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_new_recipients, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_reserve, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_reserve_new, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_reserve_absurd, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_devices, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_at_once, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_over_elsewhere, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_learned_from_answers, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_clock_elsewhere, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_held_because_of_others, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_over_for_ever, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
