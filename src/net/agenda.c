/* agenda.c - an idle handle per loop: while it is active the loop does not block, so nothing on the list is late. And a timer, for what can
 * wait. */
#include "agenda.h"
#include "stream.h"

#include "posthouse/arena.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>

#define TIDY_MS 1000

struct agenda {
	uv_idle_t idle;
	uv_timer_t tidy;
	unsigned parts;   /* handles that are not closed yet */
	struct list link; /* in `agendas` */
	struct list due;  /* of struct stream */
	size_t streams;
};

/* One per loop that has streams, hence one in every program but some tests. */
static struct list agendas = { &agendas, &agendas };

/* libuv writes without MSG_NOSIGNAL: a connection that breaks must be an error to us, not a signal. */
static void ignore_sigpipe(void)
{
	struct sigaction now;

	if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

struct agenda *agenda_join(uv_loop_t *loop)
{
	struct agenda *g;

	LIST_EACH (i, &agendas) {
		g = CONTAINER_OF(i, struct agenda, link);
		if (g->idle.loop == loop) {
			g->streams++;
			return g;
		}
	}
	ignore_sigpipe();
	g = NEW(struct agenda);
	uv_idle_init(loop, &g->idle);
	uv_timer_init(loop, &g->tidy);
	uv_unref((uv_handle_t *)&g->tidy); /* nobody has to wait for it */
	g->idle.data = g->tidy.data = g;
	g->parts = 2;
	g->streams = 1;
	list_init(&g->due);
	list_append(&agendas, &g->link);
	return g;
}

/* Both handles are closed: nothing refers to the agenda any more. */
static void on_part_closed(uv_handle_t *h)
{
	struct agenda *g = h->data;

	if (--g->parts == 0)
		free(g);
}

void agenda_leave(struct agenda *g)
{
	if (--g->streams > 0)
		return;
	list_remove(&g->link);
	uv_close((uv_handle_t *)&g->idle, on_part_closed);
	uv_close((uv_handle_t *)&g->tidy, on_part_closed);
}

/* What lies free between memory in use goes back to the system, which free() alone does not do. */
static void on_tidy(uv_timer_t *timer)
{
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

void agenda_tidy(struct agenda *g)
{
	if (!uv_is_active((uv_handle_t *)&g->tidy))
		uv_timer_start(&g->tidy, on_tidy, TIDY_MS, 0);
}

/* Attend to every stream that was due at this moment; what becomes due meanwhile waits for the next round of the loop. */
static void on_idle(uv_idle_t *h)
{
	struct agenda *g = h->data;
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

void agenda_add(struct agenda *g, struct list *item)
{
	list_remove(item);
	list_append(&g->due, item);
	uv_idle_start(&g->idle, on_idle);
}
