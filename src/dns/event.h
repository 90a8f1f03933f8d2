/* event.h - libunbound's events on the libuv loop. */
#ifndef POSTHOUSE_DNS_EVENT_H
#define POSTHOUSE_DNS_EVENT_H

#include <time.h>
#include <unbound-event.h>
#include <uv.h>

/* libunbound uses this as its event loop. It must live as long as the context, and the loop until all handles are closed. */
struct event_base_on_uv {
	struct ub_event_base super;
	uv_loop_t *loop;
};
void event_base_init(struct event_base_on_uv *b, uv_loop_t *loop);

#endif
