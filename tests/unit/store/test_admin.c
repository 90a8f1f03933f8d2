/* test_admin.c - select, show, trace, alter, prune. */
#include "fixture.h"

static const struct recipient_row *shown(struct fixture *f, uint64_t id, size_t i)
{
	return &((const struct recipient_row *)show_now(f, id, 0, 100).rows)[i];
}

static void selectors(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct selector s;
		const char *ids;
	} rows[] = {
		{ { 0 }, "100 101 102" },
		{ { .id = 101 }, "101" },
		{ { .id = 103 }, "103" }, /* finished: only by id */
		{ { .id = 999 }, "" },
		{ { .user = { "bob", 3 } }, "101" },
		{ { .user = { "bob", 3 }, .id = 100 }, "" },
		{ { .sender = { "A@EXAMPLE.org", 13 } }, "100 101" },
		/* only the recipients that are named, not the others of their messages */
		{ { .recipient = { "c@B.org", 7 } }, "100 102" },
		{ { .destination = { "A.org", 5 } }, "100 101" },
		{ { .destination = { "b.org", 5 }, .sender = { "other@x.org", 11 } }, "102" },
		{ { .older_than_ms = 60000 }, "100 101" },
		{ { .message_id = { "<C1@Laptop>", 11 } }, "101 103" }, /* finished ones too */
		{ { .message_id = { "c1@laptop", 9 }, .user = { "bob", 3 } }, "101" },
		{ { .message_id = { "c1@laptop", 9 }, .id = 100 }, "" },
		{ { .message_id = { "c2@laptop", 9 } }, "" },
	};
	struct accepted *m;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	m = message(f, 101, "b@a.org");
	m->envelope.login = S("bob");
	m->envelope.message_id = S("<c1@laptop>");
	assert_int_equal(accept_now(f, m).class, OK);
	m = message(f, 102, "c@b.org");
	m->envelope.sender = S("other@x.org");
	m->received_at = clock_now_ms();
	assert_int_equal(accept_now(f, m).class, OK);
	m = message(f, 103, "b@a.org");
	m->envelope.message_id = S("<c1@laptop>");
	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(settle_now(f, 103, 1, RCPT_DELIVERED, 0).class, OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct str ids = S("");
		uint64_t cursor = 0;

		do { /* a page of one each */
			struct answer a = select_now(f, rows[i].s, cursor, 1);

			assert_int_equal(a.v.class, OK);
			for (size_t j = 0; j < a.n; j++)
				ids = arena_printf(&f->arena, "%.*s%s%llu", STR_ARG(ids), ids.n ? " " : "",
						   (unsigned long long)((const struct message_row *)a.rows)[j].id);
			cursor = a.next;
		} while (cursor);
		assert_str(ids, rows[i].ids);
	}
}

static void rows_say_what_is_open(void **state)
{
	struct fixture *f = *state;
	struct answer a;
	const struct message_row *m;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_WAITING, NOW + 77).class, OK);
	a = select_now(f, (struct selector){ 0 }, 0, 10);
	m = a.rows;
	assert_int_equal(a.n, 1);
	assert_int_equal(m->recipients, 2);
	assert_int_equal(m->open, 1);
	assert_int_equal(m->due_at, NOW + 77);
	assert_str(m->recipient, "c@b.org");
	assert_str(m->reply, "451 4.7.1 greylisted");
	assert_str(m->envelope.login, "alice");
}

static void pages_of_show_and_trace(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	assert_int_equal(accept_to(f, 100, "b@a.org c@a.org d@a.org").class, OK);
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(settle_now(f, 100, n, RCPT_WAITING, NOW + n).class, OK);
	a = show_now(f, 100, 0, 2);
	assert_int_equal(a.n, 2);
	assert_int_not_equal(a.next, 0);
	a = show_now(f, 100, a.next, 2);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.next, 0);
	assert_str(((const struct recipient_row *)a.rows)[0].address, "d@a.org");
	a = trace_now(f, 100, 0, 3);
	assert_int_equal(a.n, 3);
	assert_str(((const struct event_row *)a.rows)[0].name, "mail.accepted");
	assert_str(event_fields(&a, 0), "size=22");
	a = trace_now(f, 100, a.next, 3);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.next, 0);
	assert_int_equal(((const struct event_row *)a.rows)[0].n, 3);
	assert_int_equal(trace_now(f, 999, 0, 3).v.class, PERM);
	assert_int_equal(show_now(f, 999, 0, 3).v.class, PERM);
}

static void hold_and_release(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), NOW, 1).n, 1);
	a = alter_now(f, (struct selector){ .id = 100 }, ALTER_HOLD);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.in_flight, 1);
	assert_int_equal(a.n, 1);
	assert_int_equal(*(const uint64_t *)a.rows, 100);
	assert_str(show_now(f, 100, 0, 1).message->held, "by \"root\"");
	assert_int_equal(shown(f, 100, 0)->state, RCPT_HELD);
	assert_int_equal(shown(f, 100, 1)->state, RCPT_WAITING);
	assert_int_equal(settle_now(f, 100, 2, RCPT_WAITING, NOW + 1).class, OK);
	assert_int_equal(shown(f, 100, 1)->state, RCPT_HELD); /* what comes back stays */
	assert_int_equal(stats_now(f).held, 2);
	assert_int_equal(stats_now(f).waiting, 1);
	assert_int_equal(engine_lanes(f), 1);
	fixture_reopen(f);
	assert_int_equal(stats_now(f).held, 2);
	a = alter_now(f, (struct selector){ .id = 100 }, ALTER_RETRY); /* not while it is held */
	assert_int_equal(a.count, 0);
	a = alter_now(f, (struct selector){ 0 }, ALTER_RELEASE);
	assert_int_equal(a.count, 1);
	assert_int_equal(show_now(f, 100, 0, 1).message->held.n, 0);
	assert_int_equal(stats_now(f).held, 0);
	assert_int_equal(stats_now(f).waiting, 3);
	assert_int_equal(engine_lanes(f), 2);
	assert_int_equal(lanes_now(f, clock_now_ms(), 10).n, 2);
	assert_str(events(f, 100), "mail.accepted mail.held recipient.settled mail.released");
	a = trace_now(f, 100, 1, 1);
	assert_str(event_fields(&a, 0), "reason=\"by \\\"root\\\"\"");
}

/* How many recipients all lanes and messages 100 to 102 give now. */
static uint64_t lease_everything(struct fixture *f)
{
	struct answer lanes = lanes_now(f, clock_now_ms(), 10);
	uint64_t given = 0;

	for (size_t i = 0; i < lanes.n; i++) {
		struct answer a = lease_now(f, ((const struct due_lane *)lanes.rows)[i].lane, clock_now_ms(), 100);

		for (size_t j = 0; j < a.n; j++)
			given += ((const struct due_message *)a.rows)[j].recipients_n;
	}
	for (uint64_t id = 100; id < 103; id++)
		assert_int_equal(siblings_now(f, id, clock_now_ms(), 100).n, 0); /* nor does what is held come this way */
	return given;
}

static void held_mail_is_not_leased(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct selector s;
		uint64_t messages, recipients;
	} rows[] = {
		{ { .id = 100 }, 1, 2 },
		{ { .user = { "bob", 3 } }, 1, 1 },
		{ { .sender = { "A@EXAMPLE.org", 13 } }, 2, 3 },
		/* only the recipients that are named, not the others of their messages */
		{ { .recipient = { "c@B.org", 7 } }, 2, 2 },
		{ { .destination = { "a.org", 5 } }, 2, 2 },
		{ { .older_than_ms = 60000 }, 2, 3 },
		{ { .user = { "alice", 5 }, .destination = { "b.org", 5 } }, 2, 2 },
		{ { .user = { "nobody", 6 } }, 0, 0 },
		{ { 0 }, 3, 4 },
	};
	struct accepted *m = message(f, 101, "b@a.org");

	m->envelope.login = S("bob");
	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(accept_now(f, m).class, OK);
	m = message(f, 102, "c@b.org");
	m->envelope.sender = S("other@x.org");
	m->received_at = clock_now_ms();
	assert_int_equal(accept_now(f, m).class, OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(alter_now(f, rows[i].s, ALTER_HOLD).count, rows[i].messages);
		assert_int_equal(alter_now(f, rows[i].s, ALTER_HOLD).count, 0); /* they are */
		fixture_reopen(f);
		assert_int_equal(stats_now(f).held, rows[i].recipients);
		assert_int_equal(lease_everything(f), 4 - rows[i].recipients);
		fixture_reopen(f); /* forgets the leases */
		assert_int_equal(alter_now(f, rows[i].s, ALTER_RELEASE).count, rows[i].messages);
		assert_int_equal(alter_now(f, rows[i].s, ALTER_RELEASE).count, 0);
		assert_int_equal(stats_now(f).held, 0);
		assert_int_equal(lease_everything(f), 4); /* at once */
		fixture_reopen(f);
	}
}

static void release_ends_a_hold_by_death(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .id = 100, .n = 1, .state = RCPT_HELD, .died = true, .at = NOW };
	struct answer a = { .f = f };

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_WAITING, NOW + 77).class, OK);
	settle_begin(f, &o, 1, &a);
	answer_wait(f, &a);
	assert_int_equal(lane_of(f, "a.org"), 0); /* its lane has gone */
	assert_int_equal(alter_now(f, (struct selector){ .recipient = S("b@a.org") }, ALTER_RELEASE).count, 1);
	assert_int_equal(shown(f, 100, 0)->state, RCPT_WAITING);
	assert_int_equal(shown(f, 100, 1)->due_at, NOW + 77); /* was not held */
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), clock_now_ms(), 1).n, 1);
}

static void released_before_it_came_back(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 1).n, 1);
	a = alter_now(f, (struct selector){ .id = 100 }, ALTER_HOLD);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.in_flight, 1);
	assert_int_equal(a.n, 1);
	assert_int_equal(*(const uint64_t *)a.rows, 100);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_RELEASE).count, 1);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 9).class, OK);
	assert_int_equal(shown(f, 100, 0)->state, RCPT_WAITING);
	assert_int_equal(show_now(f, 100, 0, 1).message->held.n, 0);
}

static void retry_makes_due(void **state)
{
	struct fixture *f = *state;
	uint64_t later = clock_now_ms() + 1000000;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, later).class, OK);
	assert_int_equal(lanes_now(f, clock_now_ms(), 10).n, 0);
	assert_int_equal(lanes_now(f, clock_now_ms(), 10).next, later);
	assert_int_equal(alter_now(f, (struct selector){ .destination = S("a.org") }, ALTER_RETRY).count, 1);
	assert_int_equal(lanes_now(f, clock_now_ms(), 10).n, 1);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), clock_now_ms(), 1).n, 1);
	assert_int_equal(alter_now(f, (struct selector){ 0 }, ALTER_RETRY).in_flight, 1);
}

static void remove_ends_messages(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), NOW, 1).n, 1);
	a = alter_now(f, (struct selector){ .user = S("alice") }, ALTER_REMOVE);
	assert_int_equal(a.count, 2);
	assert_int_equal(a.in_flight, 1);
	assert_int_equal(a.n, 1); /* nothing of 101 is leased */
	assert_int_equal(*(const uint64_t *)a.rows, 100);
	assert_int_equal(stats_now(f).open_messages, 1);
	assert_int_equal(settle_now(f, 100, 2, RCPT_WAITING, NOW + 9).class, OK); /* not delivered: now it is removed */
	assert_int_equal(shown(f, 100, 1)->state, RCPT_REMOVED);
	assert_int_equal(stats_now(f).open_messages, 0);
	assert_int_equal(stats_now(f).waiting, 0);
	assert_int_equal(text_now(f, 100).v.class, PERM);
	assert_int_equal(text_now(f, 101).v.class, PERM);
	/* Delivered all the same. */
	assert_int_equal(accept_to(f, 102, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 1).n, 1);
	assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_REMOVE).in_flight, 1);
	assert_int_equal(settle_now(f, 102, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(shown(f, 102, 0)->state, RCPT_DELIVERED);
	/* The result was never heard. */
	assert_int_equal(accept_to(f, 103, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 1).n, 1);
	assert_int_equal(alter_now(f, (struct selector){ .id = 103 }, ALTER_REMOVE).in_flight, 1);
	fixture_reopen(f);
	assert_int_equal(shown(f, 103, 0)->state, RCPT_REMOVED);
	assert_int_equal(stats_now(f).open_messages, 0);
	assert_int_equal(engine_lanes(f), 0);
}

static void result_and_removal_in_one_batch(void **state)
{
	struct fixture *f = *state;
	struct outcome o = { .id = 100, .n = 1, .state = RCPT_WAITING, .due_at = NOW + 9, .at = NOW };
	struct selector s = { .id = 100 };
	struct answer a = { .f = f }, b = { .f = f };

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 1).n, 1);
	settle_begin(f, &o, 1, &a);
	store_alter(f->st, &s, ALTER_REMOVE, S(""), 0, on_alter_done, &b);
	answer_wait(f, &a);
	answer_wait(f, &b);
	assert_int_equal(b.in_flight, 0); /* the result came before */
	assert_int_equal(shown(f, 100, 0)->state, RCPT_REMOVED);
}

static void alter_goes_in_steps(void **state)
{
	struct fixture *f = *state;
	struct answer *accepts = ARENA_ARRAY(&f->arena, struct answer, 1200), a;
	uint64_t count = 0, cursor = 0, steps = 0;
	struct selector s = { .user = S("alice") };

	for (uint64_t i = 0; i < 1200; i++) {
		accepts[i].f = f;
		store_accept(f->st, message(f, 100 + i, "b@a.org"), on_done, &accepts[i]);
	}
	for (size_t i = 0; i < 1200; i++)
		answer_wait(f, &accepts[i]);
	do {
		a = (struct answer){ .f = f };
		store_alter(f->st, &s, ALTER_REMOVE, S("x"), cursor, on_alter_done, &a);
		answer_wait(f, &a);
		cursor = a.next;
		count += a.count;
		steps++;
	} while (cursor);
	assert_int_equal(count, 1200);
	assert_true(steps >= 3);
	assert_int_equal(stats_now(f).open_messages, 0);
}

static void prune_forgets_finished(void **state)
{
	struct fixture *f = *state;

	for (uint64_t id = 100; id < 105; id++)
		assert_int_equal(accept_to(f, id, "b@a.org").class, OK);
	for (uint64_t id = 100; id < 104; id++)
		assert_int_equal(settle_now(f, id, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(prune_now(f, NOW + 5, 10), 0); /* finished then, not before */
	assert_int_equal(prune_now(f, NOW + 6, 3), 3);
	assert_int_equal(prune_now(f, NOW + 6, 3), 1);
	assert_int_equal(prune_now(f, NOW + 6, 3), 0);
	for (uint64_t id = 100; id < 104; id++) {
		assert_int_equal(show_now(f, id, 0, 1).v.class, PERM);
		assert_int_equal(trace_now(f, id, 0, 1).v.class, PERM);
	}
	assert_int_equal(show_now(f, 104, 0, 10).n, 1);
	assert_int_equal(trace_now(f, 104, 0, 10).n, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(selectors),
		CASE(rows_say_what_is_open),
		CASE(pages_of_show_and_trace),
		CASE(hold_and_release),
		CASE(held_mail_is_not_leased),
		CASE(release_ends_a_hold_by_death),
		CASE(released_before_it_came_back),
		CASE(retry_makes_due),
		CASE(remove_ends_messages),
		CASE(result_and_removal_in_one_batch),
		CASE(alter_goes_in_steps),
		CASE(prune_forgets_finished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
