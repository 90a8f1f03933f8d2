/* handover.c - the deliveries that queue hands over: each goes to the pool of its next hop, or comes back at once. */
#include "delivery.h"
#include "pool.h"
#include "relay.h"

#include "posthouse/clock.h"

#include <unistd.h>

void delivery_begin(struct relay *relay, const struct msg_deliver *m, int fd)
{
	struct str reason = S("");
	struct pool *pool;
	struct verdict v;
	struct delivery *d;

	if (delivery_find(relay, m->lease)) {
		log_error(&(struct log){ .message = m->id }, "lease.repeated", kv("lease", m->lease));
		if (fd >= 0)
			close(fd);
		return;
	}
	d = delivery_new(relay, m, fd);
	if (fd < 0 && m->text.n != m->size) { /* the kernel drops the descriptor of a large text when no number is left */
		log_error(&d->log, "text.missing", kv("lease", d->lease));
		delivery_end_with(d, temp(451, S("4.3.0"), S("the text could not be passed on: no descriptor is left")),
				  (struct msg_result){ 0 });
		return;
	}
	if (relay->stopping) {
		delivery_end_untried(d);
		return;
	}
	d->pool = pool = nexthop_find(relay, m->route, &d->arena, &reason);
	if (!pool) {
		delivery_end_unroutable(d, reason);
		return;
	}
	v = requirements_check(d, pool, clock_now_ms());
	if (v.class != OK) {
		delivery_end_with(d, v, (struct msg_result){ 0 });
		pool_free_if_unused(pool); /* the pool of a domain can have been made for this delivery */
		return;
	}
	pool_add(pool, d, false);
	pool_advance(pool);
}

/* The queue process has ended, and no results are expected: free all deliveries but those that run, which end by themselves. */
void deliveries_orphan(struct relay *relay)
{
	HASHTABLE_EACH (item, &relay->deliveries) {
		struct delivery *d = CONTAINER_OF(item, struct delivery, in_relay);

		d->orphan = true;
		if (d->state == DELIVERY_WAITING && !list_empty(&d->in_pool))
			pool_remove(d);
		if (d->state != DELIVERY_RUNNING)
			delivery_free(d);
	}
}
