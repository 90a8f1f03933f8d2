/* test_admin.c - the console's questions, and removing what is in flight. */
#include "stored.h"

static int setup(void **state)
{
	struct harness *h = harness_new();

	connect_submission(h);
	connect_relay(h);
	connect_console(h);
	*state = h;
	return 0;
}

static void on_rows(void *ctx, struct verdict v, const struct msg_queue_rows *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	for (size_t i = 0; i < m->rows.n; i++)
		assert_int_equal(m->rows.at[i].id, h->rows_cursor + 1 + i); /* none twice, none left out */
	harness_keep(h, m->verdict, m->rows.n, m->cursor);
}

/* Pages are cut where a datagram ends, and the cursor goes on exactly there. */
static void test_pages(void **state)
{
	struct harness *h = *state;
	struct msg_queue_page m = { .max = 0 };
	size_t total = 0, pages = 0;

	disconnect(h, &h->relay);
	for (uint64_t id = 1; id <= 300; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	store_sql("UPDATE recipient SET class=1,code=451,enhanced='',reply=printf('%.1500c','x')");

	do {
		m.cursor = h->rows_cursor;
		ipc_call_queue_page(h->console, &m, -1, on_rows, h);
		UNTIL(h, h->answers_n == 300 + pages + 1);
		assert_int_equal(h->answer.class, OK);
		assert_true(h->rows_n > 0 && h->rows_n < 200);
		total += h->rows_n;
		pages++;
	} while (h->rows_cursor != 0);
	assert_int_equal(total, 300);
	assert_true(pages > 5);
}

static struct str last_words; /* about the first recipient */

static void on_shown(void *ctx, struct verdict v, const struct msg_queue_shown *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	if (m->verdict.class == OK) {
		assert_true(str_eq(m->sender, S("a@example.org")));
		assert_true(str_eq(m->rows.at[0].address, S("b@x.example")));
		last_words = verdict_keep(&h->arena, m->rows.at[0].verdict).text;
	}
	harness_keep(h, m->verdict, m->rows.n, m->cursor);
}

static void on_traced(void *ctx, struct verdict v, const struct msg_traced *m, int fd)
{
	assert_non_null(m);
	assert_true(str_starts(m->rows.at[0].fields, S("login=alice ")));
	assert_true(str_search(m->transcript, S("C: MAIL\nS: so")) < m->transcript.n);
	harness_keep(ctx, m->verdict, m->rows.n, m->cursor);
}

static void test_show_and_trace(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	answer(h, delivery_number(h, 1), temp(451, S("4.7.1"), S("later")));
	UNTIL(h, h->deliveries[0].settled);
	h->answers_n = 0;
	ipc_call_queue_show(h->console, &(struct msg_queue_show){ .id = 100 }, -1, on_shown, h);
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(h->rows_n, 1);
	ipc_call_queue_show(h->console, &(struct msg_queue_show){ .id = 7 }, -1, on_shown, h);
	UNTIL(h, h->answers_n == 2);
	assert_int_equal(h->answer.class, PERM);
	ipc_call_trace(h->console, &(struct msg_trace){ .id = 100 }, -1, on_traced, h);
	UNTIL(h, h->answers_n == 3);
	assert_int_equal(h->rows_n, 2);
}

/* Why a message waits that had no answer yet. */
static void test_waiting_words(void **state)
{
	static struct rate one_an_hour[] = { { 1, 3600000 } };
	static struct cfg_upstream isp[] = { { .name = { "isp", 3 }, .connections = 5, .messages = { one_an_hour, 1 } } };
	struct harness *h = *state;

	h->config.upstreams = isp;
	queue_ops.apply(harness_role());
	h->answers_n = 0;
	last_words = S("");
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	answer(h, delivery_number(h, 1), ok_text(250, S("2.0.0"), S("Ok")));
	submit_and_wait(h, 101, "a@example.org", "b@x.example");
	run_quiet(h);
	ipc_call_queue_show(h->console, &(struct msg_queue_show){ .id = 101 }, -1, on_shown, h);
	UNTIL(h, last_words.n > 0);
	assert_true(str_eq(last_words, S("waits for upstream:isp, whose limit is reached; the next one in 60 minutes")));
	advance(h, 3600000);
	answer_gate(h, delivery_number(h, 2), "connection refused");
	UNTIL(h, h->deliveries[1].settled);
	submit_and_wait(h, 102, "a@example.org", "b@x.example");
	last_words = S("");
	run_quiet(h);
	ipc_call_queue_show(h->console, &(struct msg_queue_show){ .id = 102 }, -1, on_shown, h);
	UNTIL(h, last_words.n > 0);
	assert_true(str_eq(last_words, S("waits for upstream:isp, which is down: connection refused")));
	h->release_at = fake_now + 86400000;
	submit_and_wait(h, 103, "a@example.org", "b@x.example");
	last_words = S("");
	run_quiet(h);
	ipc_call_queue_show(h->console, &(struct msg_queue_show){ .id = 103 }, -1, on_shown, h);
	UNTIL(h, last_words.n > 0);
	assert_true(str_eq(last_words, S("kept back: its sender asked for that")));
}

static void on_altered(void *ctx, struct verdict v, const struct msg_queue_altered *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	h->in_flight = m->in_flight;
	harness_keep(h, m->verdict, m->count, m->cursor);
}

static void alter(struct harness *h, enum alter operation, uint64_t id)
{
	struct msg_queue_alter m = { .operation = operation, .id = id, .reason = S("test") };
	size_t before = h->answers_n;

	ipc_call_queue_alter(h->console, &m, -1, on_altered, h);
	UNTIL(h, h->answers_n > before);
}

/* Removing what relay has asks relay to drop it; what only waits for its turn ends at once. */
static void test_remove(void **state)
{
	struct harness *h = *state;

	for (uint64_t id = 1; id <= 6; id++)
		submit_and_wait(h, id, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 4);
	run_quiet(h);
	alter(h, ALTER_REMOVE, 6);
	UNTIL(h, recipient(6, 1)->state == RCPT_REMOVED);
	alter(h, ALTER_REMOVE, h->deliveries[0].id);
	assert_int_equal(h->in_flight, 1);
	UNTIL(h, h->deliveries[0].withdrawn);
	assert_false(h->deliveries[1].withdrawn);
	answer(h, &h->deliveries[0], temp(0, S(""), S("withdrawn"))); /* code 0: untried */
	UNTIL(h, h->deliveries[0].settled);
	assert_int_equal(recipient(h->deliveries[0].id, 1)->state, RCPT_REMOVED);
	assert_int_equal(recipient(h->deliveries[0].id, 1)->attempts, 0);
	assert_false(stored_event(h->deliveries[0].id, "delivery.deferred", ""));
}

/* Too late to withdraw: it was delivered, and is said to be. */
static void test_remove_too_late(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	alter(h, ALTER_REMOVE, 0);
	answer(h, &h->deliveries[0], ok_text(250, S(""), S("Ok")));
	UNTIL(h, h->deliveries[0].settled);
	assert_int_equal(recipient(1, 1)->state, RCPT_DELIVERED);
}

static void test_retry(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	UNTIL(h, h->deliveries_n == 1);
	answer_gate(h, &h->deliveries[0], "refused");
	UNTIL(h, h->deliveries[0].settled);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 1);
	alter(h, ALTER_RETRY, 0);
	UNTIL(h, h->deliveries_n == 2);
	alter(h, 99, 0);
	assert_int_equal(h->answer.class, PERM);
}

/* What is held stays where it is until it is released; what killed relay three times too. */
static void test_hold_and_release(void **state)
{
	struct harness *h = *state;

	disconnect(h, &h->relay);
	submit_and_wait(h, 1, "a@example.org", "b@x.example");
	submit_and_wait(h, 2, "a@example.org", "b@x.example");
	alter(h, ALTER_HOLD, 1);
	assert_int_equal(h->rows_n, 1);
	for (uint64_t death = 1; death <= 3; death++) {
		connect_relay(h);
		UNTIL(h, h->deliveries_n == death);
		assert_int_equal(h->deliveries[death - 1].id, 2);
		disconnect(h, &h->relay);
		leases_settle_orphans(&h->q->dispatch, true);
		UNTIL(h, h->q->dispatch.leases.count == 0);
		advance(h, 300000);
	}
	assert_int_equal(recipient(2, 1)->state, RCPT_HELD);
	connect_relay(h);
	run_quiet(h);
	assert_int_equal(h->deliveries_n, 3);
	alter(h, ALTER_RELEASE, 0);
	assert_int_equal(h->rows_n, 2);
	UNTIL(h, h->deliveries_n == 5);
	answer(h, &h->deliveries[3], ok_text(250, S(""), S("Ok")));
	answer(h, &h->deliveries[4], ok_text(250, S(""), S("Ok")));
	UNTIL(h, recipient(1, 1)->state == RCPT_DELIVERED && recipient(2, 1)->state == RCPT_DELIVERED);
}

static void on_traced_or_not(void *ctx, struct verdict v, const struct msg_traced *m, int fd)
{
	((struct harness *)ctx)->answers_n++;
}

/* A console that leaves before the answer harms nobody. */
static void test_console_leaves(void **state)
{
	struct harness *h = *state;

	ipc_call_trace(h->console, &(struct msg_trace){ .id = 1 }, -1, on_traced_or_not, h);
	while (h->q->admin.n == 0 && h->answers_n == 0)
		uv_run(h->loop, UV_RUN_NOWAIT);
	disconnect(h, &h->console);
	UNTIL(h, h->answers_n == 1 && h->q->admin.n == 0);
	connect_console(h);
	alter(h, ALTER_RETRY, 0);
	assert_int_equal(h->answer.class, OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pages, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_show_and_trace, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_waiting_words, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_remove, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_remove_too_late, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_retry, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_hold_and_release, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_console_leaves, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
