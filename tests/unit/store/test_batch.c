/* test_batch.c - many operations that are under way at once, and so share a commit: each has its own answer, and what they leave
 * is the same as one after another. */
#include "engine_under_test.h"

#define MESSAGES 300

struct batch {
	struct answer at[MESSAGES + 3];
	size_t n;
};

static struct answer *next(struct fixture *f, struct batch *b)
{
	struct answer *a = &b->at[b->n++];

	*a = (struct answer){ .f = f };
	return a;
}

static void wait_all(struct fixture *f, struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		answer_wait(f, &b->at[i]);
}

static struct batch *new_batch(struct fixture *f)
{
	return ARENA_NEW(&f->arena, struct batch);
}

/* Messages of three kinds in turn: to two domains; held; released later, with a NUL in a name. */
static struct accepted *one_of_many(struct fixture *f, uint64_t id)
{
	struct accepted *m = message(f, id, id % 2 ? "b@x.org c@y.org" : "d@y.org");
	struct bucket_row *charge = ARENA_NEW(&f->arena, struct bucket_row);

	if (id % 3 == 1)
		m->held = S("looks \"odd\"");
	if (id % 3 == 2) {
		m->envelope.release_at = NOW + 1000 + id;
		m->envelope.subject = str_make("a\0b", 3);
	}
	*charge = (struct bucket_row){ .key = S("user:alice"), .rule = S("messages 200/1h"), .tat_us = id };
	m->charges = charge;
	m->charges_n = 1;
	m->remember = true;
	return m;
}

static void many_accepts(void **state)
{
	struct fixture *f = *state;
	struct batch *b = new_batch(f);
	struct store_stats stats;

	*b = (struct batch){ 0 };
	for (uint64_t id = 300; id < 300 + MESSAGES; id++)
		store_accept(f->st, one_of_many(f, id), on_done, next(f, b));
	wait_all(f, b);
	for (size_t i = 0; i < b->n; i++)
		assert_int_equal(b->at[i].v.class, OK);
	stats = stats_now(f);
	assert_int_equal(stats.open_messages, MESSAGES);
	assert_int_equal(stats.waiting, 300);
	assert_int_equal(stats.held, 150);
	assert_int_equal(engine_lanes(f), 2);
	assert_str(buckets(f), "user:alice messages 200/1h 599");
	assert_int_equal(engine_known(f, "alice", 0), 3);
	assert_str(events(f, 300), "mail.accepted");
	assert_str(events(f, 301), "mail.accepted mail.held");
	assert_int_equal(lease_now(f, lane_of(f, "x.org"), NOW, 100).n, 50);
	assert_int_equal(lease_now(f, lane_of(f, "y.org"), NOW + 10000, 1000).n, 200);
}

/* A lane that wakes later than it is needed would be found by engine_check. */
static void the_earliest_message_wakes_the_lane(void **state)
{
	struct fixture *f = *state;
	struct batch *b = new_batch(f);

	*b = (struct batch){ 0 };
	for (uint64_t i = 0; i < 5; i++) {
		struct accepted *m = message(f, 100 + i, "b@x.org");

		m->envelope.release_at = NOW + 1000 + (i == 3 ? 0 : 500);
		store_accept(f->st, m, on_done, next(f, b));
	}
	wait_all(f, b);
	assert_int_equal(lanes_now(f, NOW + 1000, 10).n, 1);
	assert_int_equal(lease_now(f, lane_of(f, "x.org"), NOW + 1000, 10).n, 1);
}

/* Neighbours of a message that was stored before, of its double, and of another with its id. */
static void doubles_among_others(void **state)
{
	struct fixture *f = *state;
	struct batch *b = new_batch(f);
	struct accepted *other = message(f, 100, "b@x.org");

	other->token++;
	assert_int_equal(accept_to(f, 100, "b@x.org").class, OK);
	for (unsigned round = 0; round < 2; round++) {
		*b = (struct batch){ 0 };
		for (uint64_t id = 99; id < 105; id++)
			store_accept(f->st, message(f, id, "b@x.org"), on_done, next(f, b));
		store_accept(f->st, message(f, 104, "b@x.org"), on_done, next(f, b));
		store_accept(f->st, other, on_done, next(f, b));
		wait_all(f, b);
		for (size_t i = 0; i < 7; i++)
			assert_int_equal(b->at[i].v.class, OK);
		assert_int_equal(b->at[7].v.class, PERM);
		assert_int_equal(stats_now(f).open_messages, 6);
		assert_int_equal(stats_now(f).waiting, 6);
		assert_str(events(f, 104), "mail.accepted");
	}
}

/* Results, a report and accepts in one commit. */
static void results_and_a_report_among_accepts(void **state)
{
	struct fixture *f = *state;
	struct batch *b = new_batch(f);
	struct outcome later = { .id = 101, .n = 1, .state = RCPT_WAITING, .at = NOW, .due_at = NOW + 50, .attempted = true };
	struct accepted *report = message(f, 200, "a@example.org");
	static const uint64_t first[] = { 1 };

	report->kind = KIND_FAILURE;
	report->parent = 100;
	report->envelope.sender = S("");
	assert_int_equal(accept_to(f, 100, "b@x.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@x.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "x.org"), NOW, 10).n, 2);
	assert_int_equal(settle_now(f, 100, 1, RCPT_FAILED, 0).class, OK);
	*b = (struct batch){ 0 };
	settle_begin(f, &later, 1, next(f, b));
	store_accept(f->st, message(f, 102, "b@x.org"), on_done, next(f, b));
	store_report(f->st, KIND_FAILURE, report, 100, first, 1, S("reason=x"), on_done, next(f, b));
	wait_all(f, b);
	for (size_t i = 0; i < b->n; i++)
		assert_int_equal(b->at[i].v.class, OK);
	assert_str(events(f, 200), "mail.accepted");
	assert_int_equal(stats_now(f).failed, 0);
	assert_int_equal(stats_now(f).open_messages, 3); /* 100 is finished */
	assert_int_equal(stats_now(f).waiting, 3);
	assert_int_equal(lease_now(f, lane_of(f, "x.org"), NOW + 50, 10).n, 2);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(many_accepts),
		CASE(the_earliest_message_wakes_the_lane),
		CASE(doubles_among_others),
		CASE(results_and_a_report_among_accepts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
