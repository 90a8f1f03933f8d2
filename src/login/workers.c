/* workers.c - see workers.h. The loop owns everything except the list of finished jobs, which the lock protects. */
#include "workers.h"
#include "posthouse/arena.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <pthread.h>
#include <stdlib.h>
#include <sysexits.h>

#define STACK_BYTES MIB /* libraries of back-ends have buffers on the stack */

struct workers {
	uv_async_t wake;
	uv_mutex_t lock;
	struct job *finished;
	struct list waiting, running;
	unsigned running_n, most;
	bool closing;
};

static void on_wake(uv_async_t *wake);

struct workers *workers_open(uv_loop_t *loop, unsigned most)
{
	struct workers *w = NEW(struct workers);

	if (uv_mutex_init(&w->lock) || uv_async_init(loop, &w->wake, on_wake))
		die(EX_OSERR, "no lock or no descriptor");
	uv_unref((uv_handle_t *)&w->wake); /* a stuck thread must not keep the loop alive */
	w->wake.data = w;
	list_init(&w->waiting);
	list_init(&w->running);
	w->most = most;
	return w;
}

static void on_closed(uv_handle_t *handle)
{
	struct workers *w = handle->data;

	uv_mutex_destroy(&w->lock);
	free(w);
}

static void close_when_empty(struct workers *w)
{
	if (w->closing && w->running_n == 0 && w->finished == NULL && !uv_is_closing((uv_handle_t *)&w->wake))
		uv_close((uv_handle_t *)&w->wake, on_closed);
}

void workers_close(struct workers *w)
{
	w->closing = true;
	close_when_empty(w);
}

/* Tell the loop, from any thread. */
static void finish(struct workers *w, struct job *j)
{
	uv_mutex_lock(&w->lock);
	j->next = w->finished;
	w->finished = j;
	uv_async_send(&w->wake); /* under the lock: after it, the loop can have freed the struct */
	uv_mutex_unlock(&w->lock);
}

static void *run_thread(void *context)
{
	struct job *j = context;
	struct workers *w = j->workers;

	j->work(j);
	finish(w, j);
	return NULL;
}

static bool start_thread(struct job *j)
{
	pthread_attr_t attributes;
	pthread_t thread;
	bool started;

	if (pthread_attr_init(&attributes) != 0)
		return false;
	started = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0 &&
		  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0 &&
		  pthread_create(&thread, &attributes, run_thread, j) == 0;
	pthread_attr_destroy(&attributes);
	return started;
}

/* Give those that wait a thread each, up to the bound. A job that gets none fails: the system can refuse threads for
 * long. */
static void start_waiting(struct workers *w)
{
	while (!list_empty(&w->waiting) && w->running_n < w->most) {
		struct job *j = CONTAINER_OF(list_first(&w->waiting), struct job, link);

		j->begun_at = clock_mono_ms();
		j->ran = true;
		j->running = true;
		list_remove(&j->link);
		list_append(&w->running, &j->link);
		w->running_n++;
		if (start_thread(j))
			continue;
		j->ran = false;
		finish(w, j);
		return;
	}
}

static void on_wake(uv_async_t *wake)
{
	struct workers *w = wake->data;
	struct job *j, *next;

	uv_mutex_lock(&w->lock);
	j = w->finished;
	w->finished = NULL;
	uv_mutex_unlock(&w->lock);
	for (; j; j = next) {
		next = j->next;
		list_remove(&j->link);
		j->running = false;
		w->running_n--;
		j->done(j, j->ran);
	}
	start_waiting(w);
	close_when_empty(w);
}

void workers_run(struct workers *w, struct job *j)
{
	j->workers = w;
	j->running = false;
	list_append(&w->waiting, &j->link);
	start_waiting(w);
}

bool workers_withdraw(struct job *j)
{
	if (j->running)
		return false;
	list_remove(&j->link);
	return true;
}

unsigned workers_most(const struct workers *w)
{
	return w->most;
}

unsigned workers_stuck(const struct workers *w, uint64_t longer_than_ms)
{
	uint64_t now = clock_mono_ms();
	unsigned n = 0;

	LIST_EACH (i, &w->running)
		n += now - CONTAINER_OF(i, struct job, link)->begun_at > longer_than_ms;
	return n;
}
