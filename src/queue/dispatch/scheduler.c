/* scheduler.c - rounds: serve the lanes that wait for room, ask the store for more due lanes, lease a few messages of each with their
 * siblings, send. One round at a time; what happens meanwhile starts the next. A lane whose ways are all closed is passed by and stays
 * due; one that meets a full gate waits there for its turn. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>

#define LANES_MAX       128
#define TIMER_MAX_MS    60000
#define TIMER_MIN_MS    20
#define FRUITLESS_MS    1000 /* lanes said to be due gave nothing: no hurry */
#define STORE_FAILED_MS 5000
#define VAIN_PAGES_MAX  4  /* full pages of blocked lanes, then a pause: 100,000 of them cost some seconds, not the processor */
#define LOOK_MESSAGES   20 /* of a blocked lane, each time */
#define LOOK_MIN_MS     1000
#define LOOK_MAX_MS     (10 * MINUTE_MS)

/* One question for a lane's recipients. */
struct ask {
	struct dispatch *dispatch;
	bool in_place; /* only to find those whose time is over */
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

/* Sleep until something may be due. */
static void rest(struct dispatch *d, uint64_t at_least_ms)
{
	struct scheduler *s = &d->scheduler;
	uint64_t now = clock_now_ms(), gate_at, delay = TIMER_MAX_MS;

	(void)gates_upstream_room(d, now, &gate_at);
	sooner(&delay, now, s->next_lane_at);
	sooner(&delay, now, gate_at);
	sooner(&delay, now, s->blocked_until);
	sooner(&delay, now, s->opens_at);
	if (gates_may_expire(d))
		sooner(&delay, now, s->look_at);
	if (delay < at_least_ms)
		delay = at_least_ms;
	uv_timer_start(&d->scheduler.timer, on_timer, delay, 0);
}

static bool may_lease(const struct dispatch *d)
{
	return dispatch_may_store(d) && !d->stopping && d->relay && d->gates.known && d->accounting->buckets.known &&
	       !d->settling.failing && !d->scheduler.failing;
}

/* ---- a round ---- */

static void ask_lane(struct dispatch *d, uint64_t lane, struct gate *g, size_t n, bool in_place)
{
	struct ask *ask = NEW(struct ask);

	ask->dispatch = d;
	ask->in_place = in_place;
	d->scheduler.asking++;
	d->scheduler.room -= n < d->scheduler.room ? n : d->scheduler.room;
	if (g)
		gate_expect(g, n);
	store_lease(d->store, lane, clock_now_ms(), n, !in_place, on_leased, ask);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Lanes that waited for room come first, each with its share. */
static void serve_waiting(struct dispatch *d, uint64_t now)
{
	LIST_EACH (i, &d->gates.waiting) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_waiting);
		size_t share;

		if (!gate_is_open(g, now)) {
			if (g->status != GATE_PROBING)
				gate_forget_waiting(g); /* these may have another way */
			continue;
		}
		share = gate_room(g, now) / g->waiting_n;
		while (g->waiting_n > 0 && gate_room(g, now) > 0 && d->scheduler.room > 0)
			ask_lane(d, gate_next_waiting(g), g,
				 least(share > 0 ? share : 1, least(gate_room(g, now), d->scheduler.room)), false);
	}
}

/* A sweep looks through blocked lanes when it is time; with the lifetime of days, some minutes do not matter. */
static void begin_sweep(struct dispatch *d, uint64_t now)
{
	struct scheduler *s = &d->scheduler;

	s->blocked_until = 0;
	s->swept = 0;
	s->looking = now >= s->look_at && gates_may_expire(d);
	s->expired = false;
}

static void end_sweep(struct dispatch *d, uint64_t now)
{
	struct scheduler *s = &d->scheduler;
	uint64_t interval = role_config(d->role)->queue.lifetime_ms / 100;

	s->opens_at = s->blocked_until;
	s->blocked_until = 0;
	if (interval < LOOK_MIN_MS)
		interval = LOOK_MIN_MS;
	if (s->looking)
		s->look_at = now + (interval < LOOK_MAX_MS ? interval : LOOK_MAX_MS);
	s->looking = false;
}

/* Is it worth to ask for lanes? */
static bool wants_page(struct dispatch *d, uint64_t now)
{
	uint64_t wake_at;

	if (clock_mono_ms() < d->scheduler.paused_until)
		return false;
	return d->scheduler.looking || d->scheduler.urgent || d->gates.mx_used || gates_upstream_room(d, now, &wake_at) > 0;
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
		/* a result, a channel, credit or the timer wakes us */
		if (!s->failing ||
		    !uv_is_active((uv_handle_t *)&s->timer)) /* its timer must not be pushed away by every new message */
			rest(d, s->failing ? STORE_FAILED_MS : FRUITLESS_MS);
		return;
	}
	s->asking = 1; /* this step */
	s->again = false;
	s->fruitful = false;
	serve_waiting(d, now);
	if (!s->sweeping)
		begin_sweep(d, now);
	s->page = 0;
	if (s->room > 0 && wants_page(d, now)) {
		s->asking++;
		s->urgent = false;
		s->page = s->looking ? least(LANES_MAX, 1 + s->room / LOOK_MESSAGES) : LANES_MAX;
		store_lanes(d->store, now, s->page, on_lanes, d);
	}
	end_step(d);
}

void scheduler_mend(struct dispatch *d)
{
	struct scheduler *s = &d->scheduler;

	s->next_lane_at = s->blocked_until = s->opens_at = s->look_at = 0;
	scheduler_wake(d);
}

static void store_refused(struct dispatch *d, struct verdict v)
{
	if (!d->scheduler.failing)
		log_warning(NULL, "leasing.paused", kv("reply", v.text));
	d->scheduler.failing = true;
}

/* Its lanes are served when there is room, and when its mail servers are known. */
static void wait_at(struct gate *g, const struct due_lane *due)
{
	if (!gate_wait(g, due->lane, due->priority))
		return;
	if (gate_knows_hosts(g))
		gate_resume_waiting(g);
	else
		inquire(g);
}

/* One lane of a page: lease from it, let it wait at its gate, or pass it by. */
static void use_lane(struct dispatch *d, const struct due_lane *due, const struct lane_way *way, size_t share)
{
	uint64_t lane = due->lane;
	struct scheduler *s = &d->scheduler;
	struct gate *g = way->gate;
	size_t n = least(share, s->room);

	if (way->state == LANE_BLOCKED) {
		if (s->blocked_until == 0 || way->wait_until < s->blocked_until)
			s->blocked_until = way->wait_until;
		if (s->looking && s->room > 0)
			ask_lane(d, lane, NULL, LOOK_MESSAGES, true);
		return;
	}
	if (g) {
		size_t room = gate_room(g, clock_now_ms()), part = room / (g->wanting > 0 ? g->wanting : 1);

		n = g->waiting_n > 0 ? 0 : least(n, least(room, part > 0 ? part : 1));
		if (g->wanting > 0)
			g->wanting--;
	}
	if (n > 0)
		ask_lane(d, lane, g, n, false);
	else if (g)
		wait_at(g, due);
}

/* Are there due lanes that this sweep has not met? The store's turn goes round without an end. */
static bool has_more(struct dispatch *d, const struct due_lane *lanes, size_t n)
{
	struct scheduler *s = &d->scheduler;
	struct store_stats stats;

	if (n < s->page || !dispatch_may_store(d))
		return false;
	for (size_t i = 0; i < n; i++)
		if (s->swept > 0 && lanes[i].lane == s->first_lane)
			return false;
	if (s->swept == 0)
		s->first_lane = lanes[0].lane;
	s->swept += n;
	store_stats(d->store, &stats);
	return s->swept <= stats.lanes + LANES_MAX; /* the first one may not be due any more */
}

static void on_lanes(void *ctx, struct verdict v, const struct due_lane *lanes, size_t n, uint64_t next_at)
{
	struct dispatch *d = ctx;
	struct scheduler *s = &d->scheduler;
	struct lane_way ways[LANES_MAX];
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
		ways[i] = way_of_lane(d, lanes[i].login, lanes[i].domain, now);
		if (ways[i].state == LANE_GOES && ways[i].gate)
			ways[i].gate->wanting++;
	}
	share = n > 0 && s->room > n ? s->room / n : 1;
	for (size_t i = 0; i < n && may_lease(d); i++)
		use_lane(d, &lanes[i], &ways[i], share);
	for (size_t i = 0; i < n; i++)
		if (ways[i].gate)
			ways[i].gate->wanting = 0;
	s->sweeping = v.class == OK && has_more(d, lanes, n);
	s->vain_pages = s->sweeping ? s->vain_pages + 1 : 0;
	if (v.class == OK && !s->sweeping)
		end_sweep(d, now);
	end_step(d);
}

/* The message, when an earlier lane of this round has given recipients of it. */
static struct message *fetched(struct scheduler *s, uint64_t id)
{
	LIST_EACH (i, &s->fetched) {
		struct message *m = CONTAINER_OF(i, struct message, in_fetched);

		if (m->due.id == id)
			return m;
	}
	return NULL;
}

/* Do the message's other recipients go the same way? Those of an upstream do; those of an MX domain are all in one lane. */
static bool wants_siblings(const struct message *m)
{
	const struct due_message *due = &m->due;
	struct way w;

	if (due->others_open == 0 || due->recipients_n >= DELIVERY_RECIPIENTS_MAX || !may_lease(m->dispatch))
		return false;
	w = way_find(m->dispatch, due->login, due->sender, due->recipients[0].address, clock_now_ms());
	return w.gate && !w.gate->is_mx;
}

/* A message that a lane has given: its recipients in other lanes join it. */
static void fetch(struct ask *ask, const struct due_message *due)
{
	struct dispatch *d = ask->dispatch;
	struct scheduler *s = &d->scheduler;
	struct message *m = fetched(s, due->id);

	s->fruitful = s->fruitful || !ask->in_place;
	if (m) {
		message_add(m, due->recipients, due->recipients_n);
		return;
	}
	m = message_new(d, due);
	if (ask->in_place || !wants_siblings(m)) {
		message_dispatch(m, ask->in_place);
		return;
	}
	s->asking++;
	list_append(&s->fetched, &m->in_fetched);
	store_lease_siblings(d->store, m->due.id, clock_now_ms(), DELIVERY_RECIPIENTS_MAX - m->due.recipients_n, on_siblings, m);
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

	/* Without them the message goes to those that it has. */
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
	gates_expect_nothing(d);
	pauses_collect(d, clock_now_ms());
	gates_collect(d);
	d->observer->idle(d->observer->ctx);
	if (!dispatch_may_store(d))
		return;
	if (s->fruitful)
		s->vain_pages = 0;
	if (s->expired)
		s->look_at = 0; /* there may be more in its lane */
	if (s->vain_pages >= VAIN_PAGES_MAX) {
		s->vain_pages = 0;
		s->paused_until = clock_mono_ms() + TIMER_MIN_MS;
	}
	if (s->failing)
		rest(d, STORE_FAILED_MS);
	else if (clock_mono_ms() < s->paused_until)
		uv_timer_start(&s->timer, on_timer, TIMER_MIN_MS, 0);
	else if (s->fruitful || s->again || (s->sweeping && s->page > 0))
		scheduler_wake(d);
	else
		rest(d, s->page > 0 && s->next_lane_at ? TIMER_MIN_MS : FRUITLESS_MS);
}
