/* deferred.c - an idle handle per loop: while it is active the loop does not block, so nothing on the list is late. And a timer
 * for the work that is not urgent. */
#include "deferred.h"
#include "stream.h"

#include "posthouse/arena.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#define TIDY_MS 1000

struct deferred {
	uv_idle_t idle;
	uv_timer_t tidy;
	unsigned parts;   /* handles that are not closed yet */
	struct list link; /* in `all_deferred` */
	struct list due;  /* of struct stream */
	size_t streams;
};

/* One per loop that has streams, hence one in every program but some tests. */
static struct list all_deferred = { &all_deferred, &all_deferred };

/* libuv writes without MSG_NOSIGNAL, so SIGPIPE is ignored: a broken connection must be an error, not a signal. */
static void ignore_sigpipe(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

struct deferred *deferred_join(uv_loop_t *loop)
{
	struct deferred *g;

	LIST_EACH (i, &all_deferred) {
		g = CONTAINER_OF(i, struct deferred, link);
		if (g->idle.loop == loop) {
			g->streams++;
			return g;
		}
	}
	ignore_sigpipe();
	g = NEW(struct deferred);
	uv_idle_init(loop, &g->idle);
	uv_timer_init(loop, &g->tidy);
	uv_unref((uv_handle_t *)&g->tidy); /* it does not keep the loop alive */
	g->idle.data = g->tidy.data = g;
	g->parts = 2;
	g->streams = 1;
	list_init(&g->due);
	list_append(&all_deferred, &g->link);
	return g;
}

/* Both handles are closed: nothing refers to this memory any more. */
static void on_part_closed(uv_handle_t *h)
{
	struct deferred *g = h->data;

	if (--g->parts == 0)
		free(g);
}

void deferred_leave(struct deferred *g)
{
	if (--g->streams > 0)
		return;
	list_remove(&g->link);
	uv_close((uv_handle_t *)&g->idle, on_part_closed);
	uv_close((uv_handle_t *)&g->tidy, on_part_closed);
}

/* Give free memory between blocks in use back to the system, which free() does not do. */
static void on_tidy(uv_timer_t *timer)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void deferred_tidy(struct deferred *g)
{
	if (!uv_is_active((uv_handle_t *)&g->tidy))
		uv_timer_start(&g->tidy, on_tidy, TIDY_MS, 0);
}

/* Attend to all streams that are due now; those that become due meanwhile wait for the next round of the loop. */
static void on_idle(uv_idle_t *h)
{
	struct deferred *g = h->data;
	struct list now, *item;

	list_prepend(&g->due, &now);
	list_remove(&g->due); /* the streams are now on `now` alone */
	while ((item = list_first(&now))) {
		list_remove(item);
		stream_attend(CONTAINER_OF(item, struct stream, due));
	}
	if (list_empty(&g->due))
		uv_idle_stop(h);
}

void deferred_add(struct deferred *g, struct list *item)
{
	list_remove(item);
	list_append(&g->due, item);
	uv_idle_start(&g->idle, on_idle);
}
