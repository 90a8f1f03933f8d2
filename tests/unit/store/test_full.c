/* test_full.c - a disk that takes nothing more: accepts are refused, results wait and are stored when there is room again. The
 * disk is played by a limit on the size of files, which the kernel reports at the same places. */
#include "engine_under_test.h"

#include <signal.h>
#include <sys/resource.h>

/* Files may not grow beyond `bytes` (0: as they like). */
static void limit_files(uint64_t bytes)
{
	struct rlimit r;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &r), 0);
	r.rlim_cur = bytes ? bytes : r.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void fill(struct fixture *f)
{
	limit_files(engine_growing_bytes(f) + 10000);
}

static struct accepted *bulky(struct fixture *f, uint64_t id)
{
	struct accepted *m = message(f, id, "b@a.org");

	m->text = str_make(arena_alloc(&f->arena, 60000), 60000);
	m->size = m->text.n;
	return m;
}

static void run_for(struct fixture *f, unsigned ms)
{
	for (uint64_t end = clock_mono_ms() + ms; clock_mono_ms() < end; usleep(1000))
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void results_wait_for_room(void **state)
{
	struct fixture *f = *state;
	static struct outcome o[5]; /* static: a failed assertion leaves, and the store still reads them */
	static struct answer settled[5], refused;
	struct answer lanes;
	char *transcript = arena_alloc(&f->arena, 4096);

	memset(transcript, 't', 4096);
	for (uint64_t id = 100; id < 106; id++)
		assert_int_equal(accept_now(f, message(f, id, "b@a.org")).class, OK);
	assert_int_equal(access(fixture_path(f, "reserve"), F_OK), 0);
	fill(f);
	assert_int_equal(accept_now(f, bulky(f, 200)).code, 452);
	assert_true(stats_now(f).full);
	for (uint64_t i = 0; i < 5; i++) {
		settled[i] = (struct answer){ .f = f };
		o[i] = (struct outcome){ .id = 100 + i,
					 .n = 1,
					 .state = RCPT_WAITING,
					 .due_at = NOW + 50,
					 .at = NOW,
					 .transcript = str_make(transcript, 4096) };
		store_settle(f->st, &o[i], 1, on_done, &settled[i]);
	}
	refused = (struct answer){ .f = f };
	store_accept(f->st, bulky(f, 201), on_done, &refused);
	answer_wait(f, &refused);
	assert_int_equal(refused.v.code, 452);
	run_for(f, 1500);
	assert_false(settled[4].done); /* neither answered nor forgotten */
	assert_int_equal(access(fixture_path(f, "reserve"), F_OK), -1);
	lanes = lanes_now(f, NOW, 10);
	assert_int_equal(lanes.v.code, 452); /* what cannot be noted is better not sent */
	assert_int_equal(alter_now(f, (struct selector){ 0 }, ALTER_HOLD).v.code, 452);
	assert_int_equal(show_now(f, 100, 0, 10).v.class, OK); /* reading goes on */
	limit_files(0);
	for (uint64_t i = 0; i < 5; i++) {
		answer_wait(f, &settled[i]);
		assert_int_equal(settled[i].v.class, OK);
	}
	run_for(f, 1200);
	assert_int_equal(accept_now(f, bulky(f, 200)).class, OK);
	assert_false(stats_now(f).full);
	assert_int_equal(access(fixture_path(f, "reserve"), F_OK), 0);
	for (uint64_t id = 100; id < 105; id++)
		assert_int_equal(((const struct recipient_row *)show_now(f, id, 0, 1).rows)->due_at, NOW + 50);
}

static void closing_does_not_wait_for_room(void **state)
{
	struct fixture *f = *state;
	static struct outcome o = { .id = 100, .n = 1, .state = RCPT_DELIVERED, .at = NOW };
	static struct answer settled;

	settled = (struct answer){ .f = f };
	assert_int_equal(accept_now(f, message(f, 100, "b@a.org")).class, OK);
	limit_files(engine_growing_bytes(f)); /* not one page more */
	store_settle(f->st, &o, 1, on_done, &settled);
	run_for(f, 100);
	assert_false(settled.done);
	fixture_close(f);
	assert_true(settled.done);
	assert_int_equal(settled.v.code, 452);
	limit_files(0);
	assert_int_equal(fixture_open(f).class, OK);
	assert_int_equal(stats_now(f).open_messages, 1);
}

static void the_log_stays_bounded(void **state)
{
	struct fixture *f = *state;
	static struct answer a[100];

	for (uint64_t round = 0; round < 15; round++) { /* 90 MB, as fast as the disk takes them */
		for (uint64_t i = 0; i < 100; i++) {
			a[i] = (struct answer){ .f = f };
			store_accept(f->st, bulky(f, 1000 + round * 100 + i), on_done, &a[i]);
		}
		for (size_t i = 0; i < 100; i++) {
			answer_wait(f, &a[i]);
			assert_int_equal(a[i].v.class, OK);
		}
		assert_true(engine_growing_bytes(f) < 64 * 1024 * 1024);
	}
}

/* A start without room says so, gives the reserve away, and goes on as soon as there is room; also with a queue of an older version. */
static void opening_waits_for_room(void **state)
{
	struct fixture *f = *state;

	for (int older = 0; older < 2; older++) {
		uint64_t open_messages;

		if (!older)
			assert_int_equal(accept_now(f, message(f, 100, "b@a.org")).class, OK);
		open_messages = stats_now(f).open_messages;
		assert_int_equal(access(fixture_path(f, "reserve"), F_OK), 0);
		fixture_close(f);
		if (older)
			open_messages = engine_make_older(f);
		limit_files(3000); /* not even the index of the log */
		fixture_begin_open(f);
		while (f->opened_n == 0)
			(void)uv_run(&f->loop, UV_RUN_ONCE);
		assert_int_equal(f->opened.code, 452);
		assert_true(str_eq(f->opened.enhanced, S("4.3.1")));
		assert_int_not_equal(access(fixture_path(f, "reserve"), F_OK), 0);
		run_for(f, 1500); /* tried in vain once more */
		assert_int_equal(f->opened_n, 1);
		limit_files(0);
		while (f->opened_n == 1)
			(void)uv_run(&f->loop, UV_RUN_ONCE);
		assert_int_equal(f->opened.class, OK);
		assert_int_equal(stats_now(f).open_messages, open_messages);
	}
}

/* One that is to be closed before there was room is closed. */
static void opening_without_room_ends(void **state)
{
	struct fixture *f = *state;

	fixture_close(f);
	limit_files(3000);
	fixture_begin_open(f);
	while (f->opened_n == 0)
		(void)uv_run(&f->loop, UV_RUN_ONCE);
	fixture_close(f);
	limit_files(0);
	assert_int_equal(fixture_open(f).class, OK);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { CASE(results_wait_for_room), CASE(closing_does_not_wait_for_room),
					    CASE(the_log_stays_bounded), CASE(opening_waits_for_room),
					    CASE(opening_without_room_ends) };

	(void)signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
