/* test_mend.c - times that a clock wrote which was set back since. */
#include "engine_under_test.h"

#include "posthouse/id.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define YEAR_MS (366 * DAY_MS)

static struct mending last;

static void on_mended(void *ctx, struct verdict v, const struct mending *next)
{
	struct answer *a = ctx;

	a->done = true;
	a->v = v;
	last = *next;
}

/* Mend to the end; how many pages it took. */
static unsigned mend_all(struct fixture *f, uint64_t now)
{
	unsigned pages = 0;

	last = (struct mending){ .now = now, .retry_ms = 4 * HOUR_MS, .release_ms = 30 * DAY_MS };
	while (last.step != MENDED) {
		struct mending page = last;
		struct answer a = { .f = f };

		store_mend(f->st, &page, on_mended, &a);
		answer_wait(f, &a);
		assert_int_equal(a.v.class, OK);
		assert_true(++pages < 1000);
	}
	return pages;
}

static struct accepted *message_at(struct fixture *f, uint64_t at, unsigned n, const char *to)
{
	struct accepted *m = message(f, id_first_of(at) + n, to);

	m->received_at = at;
	m->expires_at = at + 5 * DAY_MS;
	m->warn_at = at + 4 * HOUR_MS;
	return m;
}

static const struct message_row *row(struct fixture *f, uint64_t id)
{
	return show_now(f, id, 0, 1).message;
}

/* Accepted by a clock that was ahead: it is received now and due now, with the whole of its time before it. */
static void mail_of_another_clock_is_due_now(void **state)
{
	static const uint64_t aheads[] = { 5 * MINUTE_MS, HOUR_MS, DAY_MS, YEAR_MS, 40 * YEAR_MS };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof aheads / sizeof *aheads; i++) {
		struct accepted *m = message_at(f, NOW + aheads[i], (unsigned)i, "b@a.org c@b.org");
		uint64_t lane;

		m->envelope.deliver_by = m->received_at + HOUR_MS;
		assert_int_equal(accept_now(f, m).class, OK);
		assert_int_equal(lanes_now(f, NOW, 10).n, 0);
		(void)mend_all(f, NOW);
		assert_int_equal(last.messages, 1);
		assert_int_equal(last.recipients, 2);
		assert_int_equal(lanes_now(f, NOW, 10).n, 2);
		assert_int_equal(row(f, m->id)->received_at, NOW);
		assert_int_equal(row(f, m->id)->expires_at, NOW + 5 * DAY_MS);
		assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 4 * HOUR_MS - 1, 10).n, 0);
		assert_int_equal(unreported_now(f, KIND_DELAY, NOW + 4 * HOUR_MS, 10).n, 1);
		assert_int_equal(row(f, m->id)->envelope.deliver_by, NOW + HOUR_MS);
		lane = lane_of(f, "a.org");
		assert_int_equal(lease_now(f, lane, NOW, 10).n, 1);
		assert_int_equal(settle_now(f, m->id, 1, RCPT_DELIVERED, 0).class, OK);
		assert_int_equal(settle_now(f, m->id, 2, RCPT_DELIVERED, 0).class, OK);
		(void)mend_all(f, NOW);
		assert_int_equal(last.messages + last.recipients, 0);
	}
}

static void retry(struct fixture *f, uint64_t id, uint64_t n, uint64_t at, uint64_t due_at)
{
	struct outcome o = { .id = id, .n = n, .state = RCPT_WAITING, .due_at = due_at, .attempted = true, .at = at };
	struct answer a = { .f = f };

	settle_begin(f, &o, 1, &a);
	answer_wait(f, &a);
}

/* A retry is due when its interval, counted from an attempt of this clock, says so; one of another clock is due now. */
static void retries_keep_their_interval(void **state)
{
	static const struct {
		int64_t at, due_at; /* as if attempted at, due at; from now */
		bool mended;
	} rows[] = {
		{ -60000, 3600000, false },
		{ -60000, 4 * 3600000, false },
		{ -60000, 4 * 3600000 + 1, true },
		{ 3600000, 2 * 3600000, true }, /* within any interval, but attempted later than now */
		{ -60000, -1, false },
		{ 366ll * 86400000, 366ll * 86400000 + 300000, true },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct accepted *m = message_at(f, NOW - DAY_MS, (unsigned)i, "b@a.org");

		assert_int_equal(accept_now(f, m).class, OK);
		retry(f, m->id, 1, NOW + (uint64_t)rows[i].at, NOW + (uint64_t)rows[i].due_at);
		(void)mend_all(f, NOW);
		assert_int_equal(last.messages, 0);
		assert_int_equal(last.recipients, rows[i].mended);
		assert_int_equal(lanes_now(f, NOW, 10).n, rows[i].mended || rows[i].due_at <= 0);
		assert_int_equal(row(f, m->id)->received_at, NOW - DAY_MS);
		assert_int_equal(settle_now(f, m->id, 1, RCPT_DELIVERED, 0).class, OK);
	}
}

/* What its sender keeps back stays so; but not for longer than anybody can ask for. */
static void mail_kept_back_waits(void **state)
{
	struct fixture *f = *state;
	struct accepted *soon = message_at(f, NOW - HOUR_MS, 1, "b@a.org"), *ahead = message_at(f, NOW + YEAR_MS, 2, "b@b.org");

	soon->envelope.release_at = NOW + 20 * DAY_MS;
	ahead->envelope.release_at = ahead->received_at + 2 * DAY_MS;
	assert_int_equal(accept_now(f, soon).class, OK);
	assert_int_equal(accept_now(f, ahead).class, OK);
	(void)mend_all(f, NOW);
	assert_int_equal(last.messages, 1);
	assert_int_equal(last.recipients, 1);
	assert_int_equal(row(f, soon->id)->envelope.release_at, NOW + 20 * DAY_MS);
	assert_int_equal(row(f, ahead->id)->envelope.release_at, NOW + 2 * DAY_MS);
	assert_int_equal(lanes_now(f, NOW + 2 * DAY_MS - 1, 10).n, 0);
	assert_str(domains(f, lanes_now(f, NOW + 2 * DAY_MS, 10)), "b.org");
	assert_int_equal(lanes_now(f, NOW + 20 * DAY_MS, 10).n, 2);
}

/* Many pages, with lanes that fill some alone; none is left out. */
static void a_large_queue_is_mended_in_pages(void **state)
{
	enum { MANY = 1300 };
	struct fixture *f = *state;
	struct answer *answers = calloc(MANY, sizeof *answers);

	for (unsigned i = 0; i < MANY; i++) {
		const char *to = arena_cstr(&f->arena, arena_printf(&f->arena, "b@a.org c@d%u.org", i));

		answers[i].f = f;
		store_accept(f->st, message_at(f, NOW + YEAR_MS + i, i, to), on_done, &answers[i]);
	}
	for (unsigned i = 0; i < MANY; i++)
		answer_wait(f, &answers[i]);
	free(answers);
	assert_true(mend_all(f, NOW) > 8);
	assert_int_equal(last.messages, MANY);
	assert_int_equal(last.recipients, 2 * MANY);
	for (unsigned i = 0; i < MANY; i++) {
		struct answer a = show_now(f, id_first_of(NOW + YEAR_MS + i) + i, 0, 10);
		const struct recipient_row *rows = a.rows;

		assert_int_equal(a.n, 2);
		assert_true(rows[0].due_at <= NOW && rows[1].due_at <= NOW);
	}
	assert_int_equal(lanes_now(f, NOW, 0).next, NOW); /* none is due later */
}

/* The store knows at its opening that its clock was set back since, until all is mended. */
static void a_start_knows(void **state)
{
	struct fixture *f = *state;

	(void)mend_all(f, clock_now_ms());
	if (!engine_knows_clock)
		return;
	assert_false(stats_now(f).set_back);
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	fixture_reopen(f);
	assert_false(stats_now(f).set_back);
	fixture_close(f);
	engine_move_clock(f, HOUR_MS);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fixture_open(f).class, OK);
		assert_true(stats_now(f).set_back);
		assert_int_equal(accept_to(f, 101 + (uint64_t)i, "b@a.org").class, OK); /* does not hide it */
		fixture_close(f);
	}
	assert_int_equal(fixture_open(f).class, OK);
	(void)mend_all(f, clock_now_ms());
	assert_int_equal(accept_to(f, 110, "b@a.org").class, OK);
	assert_false(stats_now(f).set_back);
	fixture_reopen(f);
	assert_false(stats_now(f).set_back);
}

/* A finished message is not kept for a year longer, nor is an address known for ever. */
static void what_has_happened_has_happened(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message_at(f, NOW + YEAR_MS, 1, "b@a.org");
	struct outcome o = { .id = m->id, .n = 1, .state = RCPT_DELIVERED, .at = NOW + YEAR_MS };
	struct answer a = { .f = f };

	m->remember = true;
	assert_int_equal(accept_now(f, m).class, OK);
	settle_begin(f, &o, 1, &a);
	answer_wait(f, &a);
	(void)mend_all(f, NOW);
	assert_int_equal(row(f, m->id)->finished_at, NOW);
	assert_int_equal(engine_known(f, "alice", NOW), 1);
	assert_int_equal(engine_known(f, "alice", NOW + 1), 0);
	assert_int_equal(prune_now(f, NOW + 1, 10), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(mail_of_another_clock_is_due_now),
		CASE(retries_keep_their_interval),
		CASE(mail_kept_back_waits),
		CASE(a_large_queue_is_mended_in_pages),
		CASE(a_start_knows),
		CASE(what_has_happened_has_happened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
