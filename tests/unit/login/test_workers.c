/* test_workers.c - threads for steps: a bound, turns, those that are called back, those that hang. */
#include "loop.h"

#include "posthouse/clock.h"
#include "workers.h"

#include <semaphore.h>

#define MOST 4

static uv_loop_t *loop;
static sem_t gate; /* what the hanging ones wait for */
static unsigned done, together, most_together;
static uv_mutex_t lock;

struct step {
	struct job job;
	bool hangs, done;
};

static void work(struct job *j)
{
	struct step *s = CONTAINER_OF(j, struct step, job);

	uv_mutex_lock(&lock);
	together++;
	most_together = together > most_together ? together : most_together;
	uv_mutex_unlock(&lock);
	while (s->hangs && sem_wait(&gate) != 0)
		;
	uv_mutex_lock(&lock);
	together--;
	uv_mutex_unlock(&lock);
}

static void on_done(struct job *j, bool ran)
{
	struct step *s = CONTAINER_OF(j, struct step, job);

	assert_true(ran);
	assert_false(s->done);
	s->done = true;
	done++;
}

static void begin(struct workers *w, struct step *s, bool hangs)
{
	*s = (struct step){ .job = { .work = work, .done = on_done }, .hangs = hangs };
	workers_run(w, &s->job);
}

/* Until so many are done. */
static void run_until(unsigned n)
{
	RUN_UNTIL(loop, done >= n);
	uv_run(loop, UV_RUN_DEFAULT);
}

static int set_up(void **state)
{
	loop = uv_default_loop();
	done = together = most_together = 0;
	sem_init(&gate, 0, 0);
	return uv_mutex_init(&lock);
}

static int tear_down(void **state)
{
	uv_mutex_destroy(&lock);
	return sem_destroy(&gate);
}

static void close_workers(struct workers *w)
{
	workers_close(w);
	uv_run(loop, UV_RUN_DEFAULT);
}

static void test_turns(void **state)
{
	struct workers *w = workers_open(loop, MOST);
	struct step steps[200];

	for (size_t i = 0; i < 200; i++)
		begin(w, &steps[i], false);
	assert_int_equal(done, 0); /* never before the loop turns */
	run_until(200);
	assert_true(most_together <= MOST);
	assert_int_equal(workers_stuck(w, 0), 0);
	close_workers(w);
}

/* One that hangs stops nobody, as many as there are threads stop all; they count as stuck; what waits can be called back. */
static void test_hanging(void **state)
{
	struct workers *w = workers_open(loop, MOST);
	struct step hanging[MOST], others[3], waiting;
	uint64_t since = clock_mono_ms();

	begin(w, &hanging[0], true);
	for (size_t i = 0; i < 3; i++)
		begin(w, &others[i], false);
	run_until(3);
	assert_false(hanging[0].done);
	for (size_t i = 1; i < MOST; i++)
		begin(w, &hanging[i], true);
	begin(w, &waiting, false);
	while (clock_mono_ms() < since + 20)
		uv_run(loop, UV_RUN_NOWAIT);
	assert_int_equal(workers_stuck(w, 60000), 0);
	assert_true(workers_stuck(w, 5) >= 1);
	assert_false(workers_withdraw(&hanging[0].job));
	assert_true(workers_withdraw(&waiting.job));
	begin(w, &waiting, false);
	for (size_t i = 0; i < MOST; i++)
		sem_post(&gate);
	run_until(3 + MOST + 1);
	assert_true(waiting.done);
	close_workers(w);
}

/* Closed while one is still at it: freed when that one is back. */
static void test_closed_early(void **state)
{
	struct workers *w = workers_open(loop, MOST);
	struct step hanging;

	begin(w, &hanging, true);
	workers_close(w);
	uv_run(loop, UV_RUN_NOWAIT);
	assert_false(hanging.done);
	sem_post(&gate);
	run_until(1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_turns, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hanging, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed_early, set_up, tear_down),
	};
	int failed = cmocka_run_group_tests_name("workers", tests, NULL, NULL);

	uv_loop_close(uv_default_loop());
	return failed;
}
