/* event.c - libunbound's pluggable events (unbound-event.h) on libuv. An event is a descriptor, a time-out or both, as in
 * libevent: without UB_EV_PERSIST it ends before its callback, with it the time-out starts again.
 *
 * Handles are made when an event is added and closed when it is deleted, because libunbound closes the descriptor right after
 * that. A poll handle that lives longer would take the next descriptor with the same number out of epoll. */
#include "event.h"

#include "posthouse/arena.h"

#include <stdlib.h>

struct event {
	struct ub_event super;
	uv_loop_t *loop;
	int fd; /* -1: a time-out only */
	short bits;
	void (*callback)(int, short, void *);
	void *argument;
	uv_poll_t *poll;   /* NULL: the descriptor is not watched */
	uv_timer_t *timer; /* NULL: no time-out runs */
	uint64_t timeout_ms;
};

static void on_poll(uv_poll_t *h, int status, int ready);
static void on_timeout(uv_timer_t *h);

static struct event *event_of(struct ub_event *e)
{
	return (struct event *)(void *)e;
}

static void on_closed(uv_handle_t *h)
{
	free(h);
}

/* No callback comes until the event is added again. */
static int event_del(struct ub_event *super)
{
	struct event *e = event_of(super);

	if (e->poll)
		uv_close((uv_handle_t *)e->poll, on_closed);
	if (e->timer)
		uv_close((uv_handle_t *)e->timer, on_closed);
	e->poll = NULL;
	e->timer = NULL;
	return 0;
}

static int watch_descriptor(struct event *e)
{
	int wanted = (e->bits & UB_EV_READ ? UV_READABLE : 0) | (e->bits & UB_EV_WRITE ? UV_WRITABLE : 0);
	uv_poll_t *poll = NEW(uv_poll_t);

	if (uv_poll_init(e->loop, poll, e->fd) != 0) {
		free(poll);
		return -1;
	}
	poll->data = e;
	e->poll = poll;
	return uv_poll_start(poll, wanted, on_poll) == 0 ? 0 : -1;
}

static void start_timer(struct event *e)
{
	e->timer = NEW(uv_timer_t);
	uv_timer_init(e->loop, e->timer);
	e->timer->data = e;
	uv_timer_start(e->timer, on_timeout, e->timeout_ms, 0);
}

static int event_add(struct ub_event *super, struct timeval *timeout)
{
	struct event *e = event_of(super);

	event_del(super);
	if (e->fd >= 0 && (e->bits & (UB_EV_READ | UB_EV_WRITE)) && watch_descriptor(e) != 0) {
		event_del(super);
		return -1;
	}
	if (timeout) {
		e->timeout_ms = (uint64_t)timeout->tv_sec * 1000 + ((uint64_t)timeout->tv_usec + 999) / 1000;
		start_timer(e);
	}
	return 0;
}

/* The callback of libunbound can free the event. */
static void fire(struct event *e, short bits)
{
	if (!(e->bits & UB_EV_PERSIST))
		event_del(&e->super);
	else if (e->timer)
		uv_timer_start(e->timer, on_timeout, e->timeout_ms, 0);
	e->callback(e->fd, bits, e->argument);
}

static void on_poll(uv_poll_t *h, int status, int ready)
{
	struct event *e = h->data;
	short bits = (short)((ready & UV_READABLE ? UB_EV_READ : 0) | (ready & UV_WRITABLE ? UB_EV_WRITE : 0));

	if (status < 0) {
		/* The socket has an error (for example by ICMP), and libuv has stopped watching it. libunbound gets the error
		 * when it next reads or writes. */
		bits = e->bits & (UB_EV_READ | UB_EV_WRITE);
		if (e->bits & UB_EV_PERSIST) {
			uv_close((uv_handle_t *)e->poll, on_closed);
			e->poll = NULL;
			if (watch_descriptor(e) != 0)
				event_del(&e->super);
		}
	}
	fire(e, bits);
}

static void on_timeout(uv_timer_t *h)
{
	fire(h->data, UB_EV_TIMEOUT);
}

static void event_add_bits(struct ub_event *super, short bits)
{
	event_of(super)->bits |= bits;
}

static void event_del_bits(struct ub_event *super, short bits)
{
	event_of(super)->bits &= (short)~bits;
}

static void event_set_fd(struct ub_event *super, int fd)
{
	event_of(super)->fd = fd;
}

static void event_free(struct ub_event *super)
{
	event_del(super);
	free(event_of(super));
}

static int event_add_timer(struct ub_event *super, struct ub_event_base *base, void (*callback)(int, short, void *),
			   void *argument, struct timeval *timeout)
{
	struct event *e = event_of(super);

	event_del(super);
	e->fd = -1;
	e->bits = UB_EV_TIMEOUT;
	e->callback = callback;
	e->argument = argument;
	return event_add(super, timeout);
}

/* Signals and the functions for Windows are NULL: only libunbound's own programs use them. */
static struct ub_event_vmt event_methods = {
	.add_bits = event_add_bits,
	.del_bits = event_del_bits,
	.set_fd = event_set_fd,
	.free = event_free,
	.add = event_add,
	.del = event_del,
	.add_timer = event_add_timer,
	.del_timer = event_del,
};

static struct ub_event *event_new(struct ub_event_base *base, int fd, short bits, void (*callback)(int, short, void *),
				  void *argument)
{
	struct event *e = NEW(struct event);

	e->super.magic = UB_EVENT_MAGIC;
	e->super.vmt = &event_methods;
	e->loop = ((struct event_base_on_uv *)(void *)base)->loop;
	e->fd = fd;
	e->bits = bits;
	e->callback = callback;
	e->argument = argument;
	return &e->super;
}

/* The other functions are NULL: a context on a loop of its user (ub_ctx_create_ub_event()) never runs, ends or frees the loop. */
static struct ub_event_base_vmt base_methods = { .new_event = event_new };

void event_base_init(struct event_base_on_uv *b, uv_loop_t *loop)
{
	b->super.magic = UB_EVENT_MAGIC;
	b->super.vmt = &base_methods;
	b->loop = loop;
}
