/* nexthop_health.c - the health of next hops: up and down, their pauses, and what of them is read after a restart. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <stdlib.h>

#define FORGET_AFTER_MS  DAY_MS /* an MX domain that was down and got no mail for this time */
#define STATS_MAX        100
#define COMPLAIN_EACH_MS HOUR_MS
#define COMPLAINT_MS     DAY_MS /* `status` shows a complaint for this time */

/* ---- start, clock and configuration ---- */

static void mend(struct nexthop *hop, uint64_t now)
{
	bool foreign = clock_is_foreign(hop->last_ok_at, now, 0);

	hop->last_ok_at = clock_mended(hop->last_ok_at, now, 0);
	hop->tried_at = clock_mended(hop->tried_at, now, 0);
	if (hop->status != NEXTHOP_UP && clock_is_foreign(hop->down_until, now, hop->pause_ms)) {
		hop->down_until = now;
		foreign = true;
	}
	if (foreign)
		nexthop_save(hop);
}

void nexthops_mend(struct dispatch *d, uint64_t now)
{
	HASHTABLE_EACH (k, &d->nexthops.table)
		mend(CONTAINER_OF(k, struct nexthop, in_table), now);
}

void nexthop_is_down(struct nexthop *hop, const struct gate_state *row)
{
	hop->status = NEXTHOP_DOWN;
	hop->failures = row->failures;
	hop->down_until = hop->row_until = row->down_until;
	hop->pause_ms = row->pause_ms ? row->pause_ms : PAUSE_LONGEST_MS;
	hop->told = row->told;
	nexthop_set_reason(hop, row->reason);
	nexthop_place(hop);
}

static void on_states(void *ctx, struct verdict v, const struct gate_state *states, size_t n)
{
	struct dispatch *d = ctx;
	uint64_t now = clock_now_ms();

	if (v.class != OK) {
		log_warning(NULL, "upstreams.unknown", kv("reply", v.text)); /* each is up until a delivery shows otherwise */
		n = 0;
	}
	for (size_t i = 0; i < n && i < NEXTHOPS_MAX; i++) {
		struct nexthop *hop;

		if (sender_pause_load(d, &states[i]))
			continue;
		if (states[i].failures == 0 && str_starts(states[i].name, S("mx:")))
			continue;
		hop = nexthop_get(d, states[i].name);
		hop->last_ok_at = states[i].last_ok_at;
		if (states[i].failures > 0)
			nexthop_is_down(hop, &states[i]);
		mend(hop, now);
	}
	d->nexthops.known = true;
	if (dispatch_may_store(d) && store_is_shared(d->store))
		nexthops_follow(d);
	d->ops->wake(d);
}

void nexthops_load(struct dispatch *d)
{
	nexthops_apply(d);
	store_gates(d->store, on_states, d);
}

void nexthops_probe_now(struct dispatch *d)
{
	sender_pauses_probe_now(d);
	HASHTABLE_EACH_OF (struct nexthop, hop, &d->nexthops.table, in_table)
		if (hop->status == NEXTHOP_DOWN)
			hop->status = NEXTHOP_PROBING;
}

void nexthop_apply_limits(struct nexthop *hop, const struct cfg_upstream *u)
{
	struct arena a = { 0 };

	hop->connections = u->connections ? u->connections : 1;
	hop->recipients_per_message = (size_t)u->recipients_per_message;
	hop->message_size = u->message_size;
	free(hop->too_large);
	hop->too_large = str_dup(arena_printf(&a, "the message is larger than the %llu bytes that %s takes",
					      (unsigned long long)u->message_size, hop->name));
	nexthop_rate_apply(hop, u);
	arena_fini(&a);
}

void nexthops_apply(struct dispatch *d)
{
	const struct config *c = role_config(d->role);

	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.upstreams, in_class) {
		hop->connections = 0;
		nexthop_rate_forget(hop);
	}
	for (size_t i = 0; i < c->upstreams_n; i++) {
		const struct cfg_upstream *u = &c->upstreams[i];
		struct arena a = { 0 };

		if (route_uses(c, u->name)) {
			struct nexthop *hop = nexthop_get(d, arena_printf(&a, "upstream:%.*s", STR_ARG(u->name)));

			nexthop_apply_limits(hop, u);
		}
		arena_fini(&a);
	}
	d->nexthops.mx_used = route_uses(c, S("mx"));
	HASHTABLE_EACH_OF (struct nexthop, hop, &d->nexthops.table, in_table) {
		nexthop_forget_waiting(hop);
		if (!hop->is_mx)
			continue;
		hop->connections = c->delivery.connections_per_destination;
		nexthop_rate_apply_mx(hop, c->delivery.warmup);
	}
	nexthops_probe_now(d);
}

void nexthops_collect(struct dispatch *d)
{
	uint64_t now = clock_now_ms();

	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.idle, in_class)
		if (now >= hop->kept_until)
			nexthop_free(hop);
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.down, in_class) {
		if (d->nexthops.down_n <= NEXTHOPS_MAX && now < hop->down_until + FORGET_AFTER_MS)
			return; /* those that were used last are at the end */
		if (!nexthop_is_used(hop))
			nexthop_forget(hop);
	}
}

/* ---- up and down ---- */

void nexthop_is_up(struct nexthop *hop)
{
	hop->status = NEXTHOP_UP;
	hop->fault = FAULT_NONE;
	hop->meaning = hop->told = 0;
	hop->failures = 0;
	hop->down_until = hop->row_until = 0;
	hop->tried_at = 0;
	nexthop_set_reason(hop, S(""));
	nexthop_place(hop);
}

bool nexthop_worked(struct nexthop *hop, uint64_t now)
{
	if (hop->status == NEXTHOP_UP)
		return false;
	if (hop->is_mx)
		log_info(NULL, "destination.up", kv("gate", hop->name), kv("failures", hop->failures), kv("was", hop->reason));
	else
		log_warning(NULL, "upstream.up", kv("gate", hop->name), kv("failures", hop->failures), kv("was", hop->reason));
	nexthop_is_up(hop);
	nexthop_save(hop);
	return true;
}

/* again: a probe met the same fault. Of an upstream that is no error once more. */
static void log_down(const struct nexthop *hop, bool again)
{
	static const char *const faults[] = { "", "unreachable", "ours", "policy" };
	uint64_t meaning = hop->meaning;
	enum log_level level = hop->is_mx ? meaning_actor(meaning) == ACTOR_ADMIN ? LOG_ERROR : LOG_WARNING
			       : again    ? LOG_INFO
					  : LOG_ERROR;

	log_at(level, NULL, hop->is_mx ? "destination.down" : "upstream.down", kv("gate", hop->name),
	       kv("fault", faults[hop->fault]), kv("class", trouble_name(meaning_trouble(meaning))),
	       kv("who", actor_name(meaning_actor(meaning))), kv("reason", hop->reason), kv("failures", hop->failures),
	       kv("next_probe_ms", hop->pause_ms));
}

/* Only a person here can mend it. What fails in TLS is mostly the server's, and can pass. */
static bool needs_person(const struct nexthop *hop)
{
	return !hop->is_mx && hop->fault == FAULT_OURS && meaning_actor(hop->meaning) == ACTOR_ADMIN &&
	       meaning_trouble(hop->meaning) != TROUBLE_TLS;
}

/* Once for each meaning until the upstream works. While the role stops this is left to its next life. */
static void tell_closed(struct nexthop *hop, struct str reason)
{
	const struct dispatch_observer *o = hop->dispatch->observer;

	if (!needs_person(hop) || hop->told == hop->meaning || hop->dispatch->stopping)
		return;
	hop->told = hop->meaning;
	o->upstream_closed(o->ctx, str_from(str_of(hop->name), strlen("upstream:")), hop->meaning,
			   str_head(reason, REASON_MAX_BYTES));
}

/* Status and log show the hint with the reason. */
static void set_reason(struct nexthop *hop, const struct nexthop_trouble *t)
{
	const char *hint = meaning_hint(t->meaning);
	struct str reason = t->reason.n ? t->reason : S("no reason was given");
	struct arena a = { 0 };

	if (*hint)
		reason = arena_printf(&a, "%.*s (%s)", STR_ARG(str_head(reason, REASON_MAX_BYTES / 2)), hint);
	nexthop_set_reason(hop, reason);
	arena_fini(&a);
}

bool nexthop_failed(struct nexthop *hop, const struct nexthop_trouble *t, uint64_t now)
{
	bool again = hop->fault == t->fault && hop->meaning == t->meaning;

	if (t->tried_at > hop->tried_at)
		hop->tried_at = t->tried_at;
	if (hop->is_mx) {
		nexthop_disprove(hop);
		if (hop->hosts == HOSTS_FOUND || hop->hosts == HOSTS_MISSING)
			hop->hosts = HOSTS_UNKNOWN; /* relay looks for them again before the next delivery */
	}
	if (hop->status == NEXTHOP_DOWN) /* this is one of several deliveries that met the same fault */
		return false;
	hop->failures++;
	hop->fault = t->fault;
	hop->meaning = t->meaning;
	hop->pause_ms = pause_after(&role_config(hop->dispatch->role)->queue, hop->is_mx, t->fault, t->pause_ms, hop->failures);
	hop->status = NEXTHOP_DOWN;
	hop->down_until = now + hop->pause_ms;
	set_reason(hop, t);
	nexthop_forget_waiting(hop);
	nexthop_place(hop);
	log_down(hop, again);
	tell_closed(hop, t->reason);
	nexthop_save(hop);
	return hop->failures == 1;
}

void nexthop_complained(struct nexthop *hop, uint64_t meaning, struct str reason, uint64_t now)
{
	free(hop->complaint);
	hop->complaint = str_dup(str_head(reason, REASON_MAX_BYTES));
	hop->complaint_at = now;
	if (hop->complaint_told_at > 0 && now >= hop->complaint_told_at && now - hop->complaint_told_at < COMPLAIN_EACH_MS)
		return;
	hop->complaint_told_at = now;
	log_error(NULL, "upstream.complained", kv("gate", hop->name), kv("class", trouble_name(meaning_trouble(meaning))),
		  kv("who", actor_name(meaning_actor(meaning))), kv("reason", hop->complaint));
}

/* ---- figures ---- */

static void stat_of(struct dispatch *d, const struct nexthop *hop)
{
	struct arena a = { 0 };
	struct str text = str_of(hop->reason);
	uint64_t now = clock_now_ms();

	if (hop->status == NEXTHOP_UP && hop->complaint && now < hop->complaint_at + COMPLAINT_MS)
		text = arena_printf(&a, "but it complains: %s", hop->complaint);
	role_stat_of(d->role, METRIC_QUEUE_NEXTHOP_DOWN, str_of(hop->name), hop->status == NEXTHOP_UP ? 0 : hop->down_until,
		     text);
	arena_fini(&a);
}

void nexthops_stats(struct dispatch *d)
{
	size_t told = 0;

	LIST_EACH_OF (const struct nexthop, hop, &d->nexthops.upstreams, in_class)
		if (hop->connections > 0 || hop->status != NEXTHOP_UP) {
			stat_of(d, hop);
			allowance_stats(hop);
		}
	role_stat(d->role, METRIC_QUEUE_DESTINATIONS_DOWN, d->nexthops.down_n);
	LIST_EACH (i, &d->nexthops.down)
		if (told++ < STATS_MAX)
			stat_of(d, CONTAINER_OF(i, struct nexthop, in_class));
}
