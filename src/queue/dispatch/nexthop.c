/* nexthop.c - the next hops that are known, and where their states are kept. What changes their health is in nexthop_health.c. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>

#define PROVEN_MS HOUR_MS

void nexthops_init(struct dispatch *d)
{
	struct nexthops *hop = &d->nexthops;

	list_init(&hop->upstreams);
	list_init(&hop->idle);
	list_init(&hop->down);
	list_init(&hop->ready);
	list_init(&hop->waiting);
	list_init(&hop->asked);
	nexthops_follow_init(d);
	allowances_init(d);
}

void nexthop_free(struct nexthop *hop)
{
	assert(list_empty(&hop->parked) && hop->leases == 0);
	hashtable_remove(&hop->dispatch->nexthops.table, &hop->in_table);
	list_remove(&hop->in_class);
	list_remove(&hop->in_ready);
	list_remove(&hop->in_waiting);
	list_remove(&hop->in_asked);
	list_remove(&hop->in_inquiries);
	nexthop_rate_forget(hop);
	free(hop->waiting);
	free(hop->name);
	free(hop->reason);
	free(hop->too_large);
	free(hop->complaint);
	free(hop);
}

void nexthops_fini(struct dispatch *d)
{
	HASHTABLE_EACH (k, &d->nexthops.table)
		nexthop_free(CONTAINER_OF(k, struct nexthop, in_table));
	hashtable_fini(&d->nexthops.table);
}

void nexthop_set_reason(struct nexthop *hop, struct str reason)
{
	char *old = hop->reason;

	hop->reason = str_dup(str_head(reason, REASON_MAX_BYTES)); /* before the free: `reason` can be a view of the old one */
	free(old);
}

/* ---- which are known ---- */

static struct proven *proven_slot(struct dispatch *d, uint64_t hash)
{
	return &d->nexthops.proven[(hash >> 16) % PROVEN_SLOTS];
}

static bool worked_lately(struct dispatch *d, struct str name)
{
	uint64_t hash = hash_text(name);
	const struct proven *p = proven_slot(d, hash);

	return p->hash == hash && clock_mono_ms() < p->until;
}

void nexthop_prove(struct nexthop *hop, uint64_t now)
{
	uint64_t hash = hash_text(str_of(hop->name));

	hop->last_ok_at = now;
	if (!hop->is_mx)
		return;
	hop->proven = true;
	*proven_slot(hop->dispatch, hash) = (struct proven){ .hash = hash, .until = clock_mono_ms() + PROVEN_MS };
}

void nexthop_disprove(struct nexthop *hop)
{
	struct proven *p = proven_slot(hop->dispatch, hash_text(str_of(hop->name)));

	hop->proven = false;
	if (p->hash == hash_text(str_of(hop->name)))
		p->until = 0;
}

static struct unfit *unfit_slot(const struct nexthop *hop)
{
	return &hop->dispatch->nexthops.unfit[(hash_text(str_of(hop->name)) >> 16) % UNFIT_SLOTS];
}

void nexthop_note_unfit(struct nexthop *hop, uint64_t tried_at)
{
	*unfit_slot(hop) = (struct unfit){ .hash = hash_text(str_of(hop->name)), .tried_at = tried_at };
}

bool nexthop_is_unfit(const struct nexthop *hop, uint64_t since)
{
	const struct unfit *u = unfit_slot(hop);

	return since > 0 && u->tried_at >= since && u->hash == hash_text(str_of(hop->name));
}

struct nexthop *nexthop_get(struct dispatch *d, struct str name)
{
	struct nexthop *hop = HASHTABLE_NAMED(&d->nexthops.table, name, struct nexthop, in_table, name);

	if (hop)
		return hop;
	hop = NEW(struct nexthop);
	hop->dispatch = d;
	hop->name = str_dup(name);
	hop->reason = str_dup(S(""));
	hop->is_mx = str_starts(name, S("mx:"));
	if (hop->is_mx) {
		hop->connections = role_config(d->role)->delivery.connections_per_destination;
		hop->proven = worked_lately(d, name);
		nexthop_rate_apply_mx(hop, role_config(d->role)->delivery.warmup);
	}
	list_init(&hop->parked);
	list_init(&hop->in_class);
	list_init(&hop->in_ready);
	list_init(&hop->in_waiting);
	list_init(&hop->in_asked);
	list_init(&hop->in_inquiries);
	hashtable_add(&d->nexthops.table, &hop->in_table, hash_text(name));
	if (!hop->is_mx)
		list_append(&d->nexthops.upstreams, &hop->in_class);
	nexthop_place(hop);
	return hop;
}

bool nexthop_is_used(const struct nexthop *hop)
{
	return hop->leases > 0 || hop->expected > 0 || hop->waiting_n > 0 || hop->hosts == HOSTS_WANTED ||
	       hop->hosts == HOSTS_ASKED;
}

void nexthop_forget(struct nexthop *hop)
{
	hop->dispatch->nexthops.down_n--;
	hop->status = NEXTHOP_UP;
	hop->failures = 0;
	nexthop_save(hop);
	nexthop_free(hop);
}

void nexthop_place(struct nexthop *hop)
{
	struct nexthops *all = &hop->dispatch->nexthops;
	bool was_down = hop->is_mx && hop->in_down;

	if (!hop->is_mx)
		return;
	list_remove(&hop->in_class);
	hop->in_down = hop->status != NEXTHOP_UP;
	all->down_n += (size_t)hop->in_down - (size_t)was_down;
	if (hop->in_down)
		list_append(&all->down, &hop->in_class);
	else if (!nexthop_is_used(hop))
		list_append(&all->idle, &hop->in_class);
}

/* ---- kept over restarts ---- */

/* One state on its way to the store. */
struct nexthop_put {
	struct arena arena;
	struct gate_state state;
};

static void on_put(void *ctx, struct verdict v)
{
	struct nexthop_put *put = ctx;

	/* A state that is lost costs one probe after a restart. */
	if (v.class != OK)
		log_warning(NULL, "upstream.unsaved", kv("gate", put->state.name), kv("reply", v.text));
	arena_fini(&put->arena);
	free(put);
}

void nexthop_row_save(struct dispatch *d, const struct gate_state *row)
{
	struct nexthop_put *put;

	if (!dispatch_may_store(d))
		return;
	put = NEW(struct nexthop_put);
	put->state = *row;
	put->state.name = arena_str(&put->arena, row->name);
	put->state.reason = arena_str(&put->arena, row->reason);
	store_gate_put(d->store, &put->state, on_put, put);
}

void nexthop_save(struct nexthop *hop)
{
	hop->changed = ++hop->dispatch->nexthops.changes_n;
	hop->row_until = hop->status == NEXTHOP_UP ? 0 : hop->down_until;
	nexthop_row_save(hop->dispatch, &(struct gate_state){ .name = str_of(hop->name),
							      .down_until = hop->status == NEXTHOP_UP ? 0 : hop->down_until,
							      .pause_ms = hop->status == NEXTHOP_UP ? 0 : hop->pause_ms,
							      .failures = hop->failures,
							      .last_ok_at = hop->last_ok_at,
							      .told = hop->told,
							      .reason = str_of(hop->reason) });
}

/* ---- for others ---- */

void nexthop_tick(struct nexthop *hop, uint64_t now)
{
	if (hop->status != NEXTHOP_DOWN || clock_mended(hop->down_until, now, hop->pause_ms) > now)
		return;
	if (!dispatch_may_store(hop->dispatch) || !store_is_shared(hop->dispatch->store))
		hop->status = NEXTHOP_PROBING;
	else if (!hop->dispatch->paused)
		nexthop_claim(hop, now);
}

bool nexthop_knows_hosts(const struct nexthop *hop)
{
	return !hop->is_mx || hop->proven || hop->hosts == HOSTS_FOUND || hop->hosts == HOSTS_MISSING;
}
