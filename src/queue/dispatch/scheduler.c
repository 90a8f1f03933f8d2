/* scheduler.c - works in rounds: it serves the lanes that wait for room, asks the store for more due lanes, leases a few messages
 * of each lane together with their recipients in other lanes, and sends. There is one round at a time; what happens meanwhile
 * starts the next one. A lane whose choices are all closed is passed by and stays due. A lane that meets a full next hop waits
 * there for its turn. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>

#define TIMER_MAX_MS    60000
#define TIMER_MIN_MS    20
#define FRUITLESS_MS    1000 /* the wait after due lanes that gave nothing */
#define STORE_FAILED_MS 5000
#define IDLE_PAGES_MAX                                                                                                           \
	4 /* full pages of blocked lanes, then a pause: 100,000 blocked lanes take some seconds, but not all of the processor */
#define EXPIRY_MESSAGES 20 /* of a blocked lane, in each expiry scan */

/* The store is asked for recipients of a lane. */
struct ask {
	struct dispatch *dispatch;
	bool scan_only; /* only to find expired recipients */
};

/* In the order they happen. */
static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at);
static void on_leased(void *ctx, struct verdict v, const struct due_message *messages, size_t n);
static void on_siblings(void *ctx, struct verdict v, const struct due_message *messages, size_t n);
static void end_step(struct dispatch *d);

static void on_timer(uv_timer_t *t)
{
	struct dispatch *d = t->data;

	d->scheduler.failing = false;
	scheduler_wake(d);
}

void scheduler_init(struct dispatch *d)
{
	list_init(&d->scheduler.fetched);
	timers_add(d->timers, &d->scheduler.timer, d);
}

/* ---- rest ---- */

static void sooner(uint64_t *delay, uint64_t now, uint64_t at)
{
	if (at > 0 && at < now + *delay)
		*delay = at > now ? at - now : 0;
}

/* Wait until something can be due. */
static void rest(struct dispatch *d, uint64_t at_least_ms)
{
	struct scheduler *s = &d->scheduler;
	uint64_t now = clock_now_ms(), nexthop_at, delay = TIMER_MAX_MS;

	(void)nexthops_upstream_room(d, now, &nexthop_at);
	sooner(&delay, now, s->next_lane_at);
	sooner(&delay, now, nexthop_at);
	sooner(&delay, now, s->scan.blocked_until);
	sooner(&delay, now, s->scan.opens_at);
	if (nexthops_may_expire(d))
		sooner(&delay, now, s->scan.expiry_scan_at);
	if (delay < at_least_ms)
		delay = at_least_ms;
	uv_timer_start(&d->scheduler.timer, on_timer, delay, 0);
}

/* After a refusal of the store the pause is fixed: what becomes due in it is not known. */
static void wait_for_store(struct dispatch *d)
{
	uv_timer_start(&d->scheduler.timer, on_timer, STORE_FAILED_MS, 0);
}

static bool may_lease(const struct dispatch *d)
{
	return dispatch_may_store(d) && !d->stopping && !d->paused && d->relay && d->nexthops.known &&
	       d->accounting->buckets.known && !d->settling.failing && !d->scheduler.failing;
}

/* ---- a round ---- */

static void ask_lane(struct dispatch *d, uint64_t lane, struct nexthop *hop, size_t n, bool scan_only)
{
	struct ask *ask = NEW(struct ask);

	ask->dispatch = d;
	ask->scan_only = scan_only;
	d->scheduler.asking++;
	d->scheduler.room -= n < d->scheduler.room ? n : d->scheduler.room;
	if (hop)
		nexthop_expect(hop, n);
	store_lease(d->store, lane, clock_now_ms(), n, !scan_only, on_leased, ask);
}

/* Lanes that wait for room come first, each with its share of the room. */
static void serve_waiting(struct dispatch *d, uint64_t now)
{
	LIST_EACH_OF (struct nexthop, hop, &d->nexthops.waiting, in_waiting) {
		size_t share;

		if (!nexthop_is_open(hop, now)) {
			if (hop->status != NEXTHOP_PROBING)
				nexthop_forget_waiting(hop); /* their mail can perhaps take another choice */
			continue;
		}
		share = nexthop_room(hop, now) / hop->waiting_n;
		while (hop->waiting_n > 0 && nexthop_room(hop, now) > 0 && d->scheduler.room > 0)
			ask_lane(d, nexthop_next_waiting(hop), hop,
				 least(share > 0 ? share : 1, least(nexthop_room(hop, now), d->scheduler.room)), false);
	}
}

/* Is it worth while to ask for lanes? */
static bool wants_page(struct dispatch *d, uint64_t now)
{
	struct store_stats stats;
	uint64_t wake_at;

	if (clock_mono_ms() < d->scheduler.paused_until)
		return false;
	store_stats(d->store, &stats);
	return d->scheduler.scan.for_expired || d->scheduler.urgent || d->nexthops.mx_used || stats.rerouted ||
	       nexthops_upstream_room(d, now, &wake_at) > 0;
}

void scheduler_wake_urgent(struct dispatch *d)
{
	d->scheduler.urgent = true;
	scheduler_wake(d);
}

void scheduler_wake(struct dispatch *d)
{
	struct scheduler *s = &d->scheduler;
	uint64_t now = clock_now_ms();

	if (!dispatch_may_store(d))
		return;
	leases_send(d);
	if (s->asking > 0) {
		s->again = true;
		return;
	}
	s->room = leases_free(d);
	if (!may_lease(d) || s->room == 0 || !channel_has_credit(d->relay)) {
		/* a result, a channel, credit or the timer starts the next round */
		if (!s->failing)
			rest(d, FRUITLESS_MS);
		else if (!uv_is_active((uv_handle_t *)&s->timer)) /* new messages must not delay the timer again and again */
			wait_for_store(d);
		return;
	}
	s->asking = 1; /* this step */
	s->again = false;
	s->productive = false;
	serve_waiting(d, now);
	if (!s->scan.is_going)
		lane_scan_begin(d, now);
	s->page = 0;
	if (s->room > 0 && wants_page(d, now)) {
		s->asking++;
		s->urgent = false;
		s->page = s->scan.for_expired ? least(LANES_MAX, 1 + s->room / EXPIRY_MESSAGES) : LANES_MAX;
		store_lanes(d->store, now, s->page, on_lanes, d);
	}
	end_step(d);
}

void scheduler_mend(struct dispatch *d)
{
	struct scheduler *s = &d->scheduler;

	s->next_lane_at = s->scan.blocked_until = s->scan.opens_at = s->scan.expiry_scan_at = 0;
	scheduler_wake(d);
}

static void store_refused(struct dispatch *d, struct verdict v)
{
	if (!d->scheduler.failing)
		log_warning(NULL, "leasing.paused", kv("reply", v.text));
	d->scheduler.failing = true;
}

/* The lane waits until there is room, and until the next hop's mail servers are known. */
static void wait_at(struct nexthop *hop, const struct due_lane *due)
{
	if (!nexthop_wait(hop, due->lane, due->priority))
		return;
	if (nexthop_knows_hosts(hop))
		nexthop_resume_waiting(hop);
	else
		inquire(hop);
}

/* One lane of a page: lease from it, let it wait at its next hop, or pass it by. */
static void use_lane(struct dispatch *d, const struct due_lane *due, const struct lane_choice *choice, size_t share)
{
	uint64_t lane = due->lane;
	struct scheduler *s = &d->scheduler;
	struct nexthop *hop = choice->nexthop;
	size_t n = least(share, s->room);

	if (choice->state == LANE_BLOCKED) {
		if (s->scan.blocked_until == 0 || choice->wait_until < s->scan.blocked_until)
			s->scan.blocked_until = choice->wait_until;
		if (s->scan.for_expired && s->room > 0)
			ask_lane(d, lane, NULL, EXPIRY_MESSAGES, true);
		return;
	}
	if (hop) {
		size_t room = nexthop_room(hop, clock_now_ms()), part = room / (hop->wanting > 0 ? hop->wanting : 1);

		n = hop->waiting_n > 0 ? 0 : least(n, least(room, part > 0 ? part : 1));
		if (hop->wanting > 0)
			hop->wanting--;
	}
	if (n > 0)
		ask_lane(d, lane, hop, n, false);
	else if (hop)
		wait_at(hop, due);
}

static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at)
{
	struct dispatch *d = ctx;
	struct scheduler *s = &d->scheduler;
	struct lane_choice choices[LANES_MAX];
	uint64_t now = clock_now_ms();
	size_t share;

	if (v.class != OK) {
		store_refused(d, v);
		n = 0;
	} else {
		s->next_lane_at = next_at;
	}
	n = least(n, s->page);
	for (size_t i = 0; i < n; i++) {
		choices[i] = lane_choose(d, &lanes[i], now);
		if (choices[i].state == LANE_GOES && choices[i].nexthop)
			choices[i].nexthop->wanting++;
	}
	share = n > 0 && s->room > n ? s->room / n : 1;
	for (size_t i = 0; i < n && may_lease(d); i++)
		use_lane(d, &lanes[i], &choices[i], share);
	for (size_t i = 0; i < n; i++)
		if (choices[i].nexthop)
			choices[i].nexthop->wanting = 0;
	s->scan.is_going = v.class == OK && lane_scan_has_more(d, lanes, n);
	s->idle_pages = s->scan.is_going ? s->idle_pages + 1 : 0;
	if (v.class == OK && !s->scan.is_going)
		lane_scan_end(d, now);
	end_step(d);
}

/* The message, when an earlier lane of this round has given recipients of it. */
static struct message *fetched(struct scheduler *s, uint64_t id)
{
	LIST_EACH_OF (struct message, m, &s->fetched, in_fetched)
		if (m->due.id == id)
			return m;
	return NULL;
}

/* How many of the message's recipients in other lanes can go with it? Those of an upstream can; those of an MX domain are all in
 * one lane. */
static size_t siblings_wanted(const struct message *m)
{
	const struct due_message *due = &m->due;
	uint64_t now = clock_now_ms();
	struct route_choice w;
	size_t most;

	if (due->others_open == 0 || due->recipients_n >= DELIVERY_RECIPIENTS_MAX || !may_lease(m->dispatch))
		return 0;
	w = message_choose(m, &due->recipients[0], now);
	if (!w.nexthop || w.nexthop->is_mx)
		return 0;
	most = least(DELIVERY_RECIPIENTS_MAX, nexthop_rate_recipients(w.nexthop, now));
	return most > due->recipients_n ? most - due->recipients_n : 0;
}

/* A lane has given this message: its recipients in other lanes join it. */
static void fetch(struct ask *ask, const struct due_message *due)
{
	struct dispatch *d = ask->dispatch;
	struct scheduler *s = &d->scheduler;
	struct message *m = fetched(s, due->id);
	size_t siblings;

	s->productive = s->productive || !ask->scan_only;
	if (m) {
		message_add(m, due->recipients, due->recipients_n);
		return;
	}
	m = message_new(d, due);
	siblings = ask->scan_only ? 0 : siblings_wanted(m);
	if (siblings == 0) {
		message_dispatch(m, ask->scan_only);
		return;
	}
	s->asking++;
	list_append(&s->fetched, &m->in_fetched);
	store_lease_siblings(d->store, m->due.id, clock_now_ms(), siblings, on_siblings, m);
}

static void on_leased(void *ctx, struct verdict v, const struct due_message *messages, size_t n)
{
	struct ask *ask = ctx;
	struct dispatch *d = ask->dispatch;

	if (v.class != OK)
		store_refused(d, v);
	for (size_t i = 0; v.class == OK && i < n; i++)
		fetch(ask, &messages[i]);
	free(ask);
	leases_send(d);
	end_step(d);
}

static void on_siblings(void *ctx, struct verdict v, const struct due_message *messages, size_t n)
{
	struct message *m = ctx;
	struct dispatch *d = m->dispatch;

	/* Without them the message goes to the recipients that it has. */
	if (v.class != OK)
		store_refused(d, v);
	for (size_t i = 0; v.class == OK && i < n; i++)
		if (messages[i].id == m->due.id)
			message_add(m, messages[i].recipients, messages[i].recipients_n);
	list_remove(&m->in_fetched);
	message_dispatch(m, false);
	leases_send(d);
	end_step(d);
}

/* One operation of the round has called back; the last one ends the round. */
static void end_step(struct dispatch *d)
{
	struct scheduler *s = &d->scheduler;

	assert(s->asking > 0);
	if (--s->asking > 0)
		return;
	nexthops_expect_nothing(d);
	sender_pauses_collect(d, clock_now_ms());
	nexthops_collect(d);
	d->observer->idle(d->observer->ctx);
	if (!dispatch_may_store(d))
		return;
	if (s->productive)
		s->idle_pages = 0;
	if (s->scan.found_expired)
		s->scan.expiry_scan_at = 0; /* perhaps there are more in its lane */
	if (s->idle_pages >= IDLE_PAGES_MAX) {
		s->idle_pages = 0;
		s->paused_until = clock_mono_ms() + TIMER_MIN_MS;
	}
	if (s->failing)
		wait_for_store(d);
	else if (clock_mono_ms() < s->paused_until)
		uv_timer_start(&s->timer, on_timer, TIMER_MIN_MS, 0);
	else if (s->productive || s->again || (s->scan.is_going && s->page > 0))
		scheduler_wake(d);
	else
		rest(d, s->page > 0 && s->next_lane_at ? TIMER_MIN_MS : FRUITLESS_MS);
}
