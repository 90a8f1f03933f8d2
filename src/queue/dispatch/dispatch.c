/* dispatch.c - the room's start, end, and what is done to all its parts. */
#include "dispatch/dispatch.h"

static const struct dispatch_ops ops = { .wake = scheduler_wake, .send = leases_send };

void dispatch_init(struct dispatch *d, struct role *r, struct accounting *acc, struct timers *timers,
		   const struct dispatch_observer *o)
{
	d->role = r;
	d->accounting = acc;
	d->timers = timers;
	d->observer = o;
	d->ops = &ops;
	nexthops_init(d);
	sender_pauses_init(d);
	scheduler_init(d);
	lease_table_init(d);
	settle_init(d);
	re_signs_init(d);
	inquiries_init(d);
	d->relay = role_peer(r, ROLE_RELAY, 0);
	d->vault = role_peer(r, ROLE_VAULT, 0);
}

void dispatch_fini(struct dispatch *d)
{
	leases_drop(d);
	nexthops_fini(d);
	sender_pauses_fini(d);
	steps_fini(d);
}

void dispatch_open(struct dispatch *d, struct store *s)
{
	d->store = s;
	nexthops_load(d);
}

void dispatch_close(struct dispatch *d)
{
	re_signs_cancel(d);
	inquiries_cancel(d);
	leases_stop_sending(d);
	d->store = NULL;
}

void dispatch_stop(struct dispatch *d)
{
	d->stopping = true;
	leases_return_parked(d);
	leases_settle_orphans(d, false);
}

bool dispatch_is_busy(const struct dispatch *d)
{
	return d->leases.count > 0 || d->scheduler.asking > 0;
}

void dispatch_apply(struct dispatch *d)
{
	leases_return_parked(d); /* before the limits of their next hops change */
	nexthops_apply(d);
	scheduler_wake(d);
}

void dispatch_mend(struct dispatch *d, uint64_t now)
{
	sender_pauses_mend(d, now);
	nexthops_mend(d, now);
	leases_mend(d, now);
	scheduler_mend(d);
}

static void exceptions_stats(struct dispatch *d)
{
	const struct config *c = role_config(d->role);
	struct arena a = { 0 };

	for (size_t i = 0; i < c->routes_n; i++)
		if (c->routes[i].tls == TLS_REQUIRE_NONE)
			role_stat_of(d->role, METRIC_QUEUE_TLS_EXCEPTION,
				     arena_printf(&a, "routes[%llu]", (unsigned long long)c->routes[i].place), 1, S(""));
	arena_fini(&a);
}

void dispatch_stats(struct dispatch *d)
{
	role_stat(d->role, METRIC_QUEUE_DELIVERIES, d->leases.count);
	role_stat_of(d->role, METRIC_QUEUE_RESULTS_KEPT, S(""), d->settling.held,
		     d->settling.failing ? S("the store has no room for results") : S(""));
	role_tally(d->role, METRIC_QUEUE_RESULTS, &d->results);
	role_histogram(d->role, METRIC_QUEUE_DELIVERY_TIME, &d->delivery_time);
	role_histogram(d->role, METRIC_QUEUE_ATTEMPT_TIME, &d->attempt_time);
	nexthops_stats(d);
	sender_pauses_stats(d);
	nexthop_rates_stats(d);
	steps_stats(d);
	exceptions_stats(d);
}

/* ---- relay and vault ---- */

void dispatch_pause(struct dispatch *d, bool paused)
{
	bool ends = d->paused && !paused;

	d->paused = paused;
	if (ends)
		scheduler_wake(d);
}

void dispatch_peer_up(struct dispatch *d, struct channel *ch)
{
	if (channel_peer(ch) == ROLE_VAULT)
		d->vault = ch;
	if (channel_peer(ch) != ROLE_RELAY)
		return;
	d->relay = ch;
	d->drained = false;
	allowances_begin(d);
	scheduler_wake(d);
}

void dispatch_peer_gone(struct dispatch *d, const struct channel *ch)
{
	if (ch == d->vault)
		d->vault = NULL;
	if (ch != d->relay)
		return;
	leases_stop_sending(d);
	re_signs_cancel(d);
	inquiries_cancel(d);
	d->relay = NULL;
	allowances_begin(d);
	leases_return_parked(d);
	leases_relay_gone(d);
}

void dispatch_drained(struct dispatch *d, struct channel *ch, const struct msg_drained *m)
{
	if (ch == d->relay)
		d->drained = true;
}

void dispatch_result(struct dispatch *d, struct channel *ch, const struct msg_result *m)
{
	if (ch == d->relay)
		outcome_result(d, m);
}
