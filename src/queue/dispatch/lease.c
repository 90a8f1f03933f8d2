/* lease.c - deliveries: how many there are, and the states that each goes through. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>

#define LEASED_MAX   1000
#define LEASED_BYTES (16 * MIB)

static const char *const state_names[] = { "new", "parked", "opening", "sent", "orphaned", "settling" };

void lease_table_init(struct dispatch *d)
{
	list_init(&d->leases.all);
	/* No number of an earlier queue process is used again, so a late result for one is unknown here. */
	d->leases.next_number = (role_incarnation(d->role) << 40) + 1;
	timers_add(d->timers, &d->leases.orphans, d);
}

size_t leases_free(const struct dispatch *d)
{
	size_t by_count = d->leases.count < LEASED_MAX ? LEASED_MAX - d->leases.count : 0;
	size_t by_bytes = d->leases.bytes < LEASED_BYTES ? (LEASED_BYTES - d->leases.bytes) / INLINE_MAX : 0;

	return least(by_count, by_bytes);
}

size_t leases_left(const struct dispatch *d)
{
	size_t unused = leases_free(d);

	return d->scheduler.asking > 0 && d->scheduler.room < unused ? d->scheduler.room : unused;
}

/* ---- states ---- */

static bool may_enter(enum lease_state from, enum lease_state to)
{
	switch (from) {
	case LEASE_NEW: return to == LEASE_PARKED || to == LEASE_SETTLING;
	case LEASE_PARKED: return to == LEASE_OPENING || to == LEASE_SENT || to == LEASE_SETTLING;
	case LEASE_OPENING: return to == LEASE_PARKED || to == LEASE_SENT || to == LEASE_SETTLING;
	case LEASE_SENT: return to == LEASE_ORPHANED || to == LEASE_SETTLING;
	case LEASE_ORPHANED: return to == LEASE_SETTLING;
	case LEASE_SETTLING: return false;
	}
	return false;
}

static bool takes_slot(const struct lease *l)
{
	return l->state == LEASE_OPENING || l->state == LEASE_SENT;
}

void lease_enter(struct lease *l, enum lease_state state)
{
	struct log log = { .message = l->message->due.id };

	assert(may_enter(l->state, state));
	log_debug(&log, "delivery.moved", kv("lease", l->number), kv("from", state_names[l->state]),
		  kv("to", state_names[state]));
	if (l->nexthop && takes_slot(l))
		l->nexthop->in_flight--;
	if (l->state == LEASE_PARKED && --l->nexthop->parked_n == 0)
		list_remove(&l->nexthop->in_ready);
	list_remove(&l->in_list);
	l->state = state;
	if (l->nexthop && takes_slot(l))
		l->nexthop->in_flight++;
	if (state == LEASE_PARKED) {
		if (l->nexthop->parked_n++ == 0)
			list_append(&l->message->dispatch->nexthops.ready, &l->nexthop->in_ready);
		list_append(&l->nexthop->parked, &l->in_list);
	} else {
		list_append(&l->message->dispatch->leases.all, &l->in_list);
	}
}

struct lease *lease_new(struct message *m, struct nexthop *hop)
{
	struct lease *l = NEW(struct lease);

	l->message = m;
	l->nexthop = hop;
	l->number = m->dispatch->leases.next_number++;
	list_init(&l->in_list);
	m->leases++;
	m->dispatch->leases.count++;
	if (hop) {
		hop->leases++;
		hop->kept_until = 0;
		nexthop_place(hop);
	}
	return l;
}

void lease_free(struct lease *l)
{
	list_remove(&l->in_list);
	l->message->dispatch->leases.count--;
	if (l->nexthop) {
		l->nexthop->leases--;
		nexthop_place(l->nexthop);
	}
	message_release(l->message);
	free(l);
}

void lease_charge(struct lease *l, struct share *share)
{
	l->charge = nexthop_rate_charge(l->nexthop, l->recipients_n);
	l->share = share;
	share_take(share);
}

void lease_uncharge(struct lease *l)
{
	nexthop_rate_return(l->nexthop, l->recipients_n, &l->charge);
	share_return(&l->share);
}

void leases_drop(struct dispatch *d)
{
	LIST_EACH (i, &d->leases.all)
		lease_free(CONTAINER_OF(i, struct lease, in_list));
}

struct lease *lease_find(struct dispatch *d, uint64_t number)
{
	LIST_EACH_OF (struct lease, l, &d->leases.all, in_list)
		if (l->number == number)
			return l;
	return NULL;
}

void leases_mend(struct dispatch *d, uint64_t now)
{
	LIST_EACH_OF (struct lease, l, &d->leases.all, in_list)
		l->sent_at = clock_mended(l->sent_at, now, 0);
}
