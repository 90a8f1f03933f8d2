/* handover.c - the deliveries that queue hands over: each goes to the pool of its next hop, or comes back at once. */
#include "delivery.h"
#include "pool.h"
#include "relay.h"

#include "posthouse/clock.h"

#include <unistd.h>

/* The descriptor of a large text was lost on its way: the kernel drops it when no number is left. */
static void without_text(struct delivery *d)
{
	struct nexthop_report hop = { 0 };

	log_error(&d->log, "text.missing", kv("lease", d->lease));
	delivery_settle_rest(d, STEP_OURS, temp(451, S("4.3.0"), S("the text could not be passed on: no descriptor is left")));
	delivery_end(d, &hop);
}

/* The answer for all of it is known without asking the next hop. */
static void end_unasked(struct delivery *d, struct verdict v)
{
	struct pool *pool = d->pool;
	struct nexthop_report hop = { 0 };

	delivery_settle_rest(d, STEP_OURS, v);
	delivery_end(d, &hop);
	pool_free_if_unused(pool); /* a domain's may have been made for this one */
}

void delivery_begin(struct relay *relay, const struct msg_deliver *m, int fd)
{
	struct str reason = S("");
	struct verdict v;
	struct delivery *d;

	if (delivery_find(relay, m->lease)) {
		log_error(&(struct log){ .message = m->id }, "lease.repeated", kv("lease", m->lease));
		if (fd >= 0)
			close(fd);
		return;
	}
	d = delivery_new(relay, m, fd);
	if (fd < 0 && m->text.n != m->size) {
		without_text(d);
		return;
	}
	if (relay->stopping) {
		delivery_end_untried(d);
		return;
	}
	d->pool = nexthop_find(relay, m->route, &d->arena, &reason);
	if (!d->pool) {
		delivery_end_blocked(d, temp(451, S("4.3.5"), reason),
				     &(struct nexthop_report){ .gate = GATE_BUSY, .gate_reason = reason });
		return;
	}
	v = requirements_check(d, d->pool, clock_now_ms());
	if (v.class != OK) {
		end_unasked(d, v);
		return;
	}
	pool_add(d->pool, d, false);
	pool_advance(d->pool);
}

/* Nobody waits for results any more: forget what has not begun and what is done, and let the rest end. */
void deliveries_orphan(struct relay *relay)
{
	for (size_t b = 0; b < LEASE_BUCKETS; b++) {
		LIST_EACH (i, &relay->leases[b]) {
			struct delivery *d = CONTAINER_OF(i, struct delivery, in_leases);

			d->orphan = true;
			if (d->state == DELIVERY_WAITING && !list_empty(&d->in_pool))
				pool_remove(d);
			if (d->state != DELIVERY_RUNNING)
				delivery_free(d);
		}
	}
}
