/* choice.c - which way a recipient goes now. */
#include "dispatch/dispatch.h"

#include "posthouse/address.h"

/* The gate of one way of a route; NULL: the configuration has no such upstream. */
static struct gate *gate_via(struct dispatch *d, struct arena *a, struct str via, struct str domain)
{
	if (str_eq(via, S("mx")))
		return domain.n > 0 ? gate_get(d, arena_printf(a, "mx:%.*s", STR_ARG(domain))) : NULL;
	if (!route_upstream(role_config(d->role), via))
		return NULL;
	return gate_get(d, arena_printf(a, "upstream:%.*s", STR_ARG(via)));
}

/* When a gate that is not open may be. One that is being probed says so itself. */
static uint64_t opens_at(const struct gate *g, uint64_t now)
{
	uint64_t wait = limits_wait_ms(g, now);

	if (g->status == GATE_DOWN)
		return g->down_until;
	return now + (wait > 0 ? wait : PROBE_WAIT_MS);
}

/* Since when is it known that nothing goes through? What only waits for its turn, or for you, does not end a message's time. */
static uint64_t vain_since(const struct gate *g)
{
	return g->status != GATE_UP && g->fault != FAULT_OURS ? g->tried_at : 0;
}

/* What is known of a way that is not open: the soonest that one opens, and why the first does not. */
static void note_closed(struct way *w, bool first, struct str name, struct str reason, uint64_t opens, uint64_t vain)
{
	if (first || opens < w->wait_until)
		w->wait_until = opens;
	if (first || vain < w->tried_at)
		w->tried_at = vain;
	if (first) {
		w->reason = reason;
		w->name = name;
	}
}

/* The first open way of a route; else what is known of those that are not. `sender` NULL: not known, pauses of senders do not count. */
static struct way way_of_route(struct dispatch *d, const struct cfg_route *r, struct str domain, const struct str *sender,
			       uint64_t now)
{
	struct way w = { .gate = NULL };
	struct arena a = { 0 };
	size_t known = 0;

	for (size_t i = 0; i < r->via.n && !w.gate; i++) {
		struct gate *g = gate_via(d, &a, r->via.at[i], domain);
		const struct pause *p = NULL;

		if (!g)
			continue;
		if (gate_is_open(g, now) && sender)
			p = pause_of(g, *sender, now);
		if (p)
			note_closed(&w, known++ == 0, str_of(g->name), str_of(p->reason), p->until, p->tried_at);
		else if (gate_is_open(g, now))
			w.gate = g;
		else
			note_closed(&w, known++ == 0, str_of(g->name), str_of(g->reason), opens_at(g, now), vain_since(g));
	}
	if (!w.gate && known == 0)
		w.why = domain.n > 0 ? temp(451, S("4.3.5"), S("the route names no upstream that is configured"))
				     : perm(550, S("5.1.2"), S("the recipient's address has no domain"));
	arena_fini(&a);
	return w;
}

struct way way_find(struct dispatch *d, struct str login, struct str sender, struct str recipient, uint64_t now)
{
	const struct cfg_route *r = route_find(role_config(d->role), login, sender, recipient);
	struct arena a = { 0 };
	struct way w = { .why = temp(451, S("4.3.5"), S("no route of the configuration applies to this recipient")) };

	if (r)
		w = way_of_route(d, r, arena_lower(&a, address_domain(recipient)), &sender, now);
	arena_fini(&a);
	return w;
}

bool way_equal(const struct way *a, const struct way *b)
{
	if (a->gate || b->gate)
		return a->gate == b->gate;
	return a->why.class == OK && b->why.class == OK && a->wait_until == b->wait_until && a->tried_at == b->tried_at;
}

/* ---- lanes ---- */

static void take_better(struct lane_way *best, struct dispatch *d, const struct way *w, uint64_t now)
{
	struct lane_way l = { .state = LANE_BLOCKED, .gate = w->gate, .wait_until = w->wait_until };

	if (w->why.class != OK) {
		l.state = LANE_GOES;
		l.room = SIZE_MAX;
	} else if (w->gate) {
		l.room = gate_room(w->gate, now);
		l.state = l.room > 0 ? LANE_GOES : LANE_WAITS;
	}
	if (l.state < best->state || (l.state == LANE_GOES && l.room > best->room) ||
	    (l.state == LANE_BLOCKED && l.wait_until < best->wait_until))
		*best = l;
}

struct lane_way way_of_lane(struct dispatch *d, struct str login, struct str domain, uint64_t now)
{
	struct route_choice choice = routes_for(role_config(d->role), login, domain);
	struct lane_way best = { .state = LANE_BLOCKED, .wait_until = UINT64_MAX };

	if (choice.n == 0 || choice.n == ROUTES_MAX)
		return (struct lane_way){ .state = LANE_GOES, .room = SIZE_MAX };
	for (size_t i = 0; i < choice.n; i++) {
		struct way w = way_of_route(d, choice.at[i], domain, NULL, now);

		take_better(&best, d, &w, now);
	}
	return best;
}
