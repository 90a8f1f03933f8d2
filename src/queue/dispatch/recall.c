/* recall.c - deliveries that do not go on: they are given back, orphaned by relay's end, or withdrawn. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"

#define ORPHANS_DELAY_MS 2000 /* if the whole program stops, the queue's `stop` comes within this time after relay's end */

/* ---- given back ---- */

void leases_return_nexthop(struct nexthop *hop)
{
	LIST_EACH (i, &hop->parked)
		outcome_return(CONTAINER_OF(i, struct lease, in_list), clock_now_ms());
}

void leases_return_parked(struct dispatch *d)
{
	LIST_EACH (i, &d->nexthops.ready)
		leases_return_nexthop(CONTAINER_OF(i, struct nexthop, in_ready));
}

/* ---- orphaned ---- */

static void on_orphans_timer(uv_timer_t *t)
{
	leases_settle_orphans(t->data, true);
}

void leases_relay_gone(struct dispatch *d)
{
	size_t orphans = 0;

	LIST_EACH_OF (struct lease, l, &d->leases.all, in_list) {
		if (l->state == LEASE_SETTLING)
			l->tell_relay = false;
		if (l->state != LEASE_SENT)
			continue;
		if (d->drained) {
			outcome_return(l, clock_now_ms());
			continue;
		}
		lease_enter(l, LEASE_ORPHANED);
		orphans++;
	}
	if (orphans == 0)
		return;
	log_warning(NULL, "relay.lost", kv("deliveries", orphans));
	if (d->stopping)
		leases_settle_orphans(d, false);
	else
		uv_timer_start(&d->leases.orphans, on_orphans_timer, ORPHANS_DELAY_MS, 0);
}

void leases_settle_orphans(struct dispatch *d, bool died)
{
	uv_timer_stop(&d->leases.orphans);
	LIST_EACH_OF (struct lease, l, &d->leases.all, in_list)
		if (l->state == LEASE_ORPHANED)
			outcome_orphaned(l, died);
}

/* ---- withdrawn ---- */

static bool is_of(const struct lease *l, const uint64_t *messages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (messages[i] == l->message->due.id)
			return true;
	return false;
}

void leases_withdraw(struct dispatch *d, const uint64_t *messages, size_t n)
{
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.ready, in_ready) {
		LIST_EACH (k, &hop->parked) {
			struct lease *l = CONTAINER_OF(k, struct lease, in_list);

			if (!is_of(l, messages, n))
				continue;
			l->withdrawn = true;
			outcome_return(l, clock_now_ms());
		}
	}
	LIST_EACH_OF (struct lease, l, &d->leases.all, in_list) {
		if (l->withdrawn || !is_of(l, messages, n))
			continue;
		l->withdrawn = true;
		if (l->state == LEASE_SENT)
			ipc_send_withdraw(d->relay, &(struct msg_withdraw){ .lease = l->number }, -1);
	}
}
