/* choice.c - see choice.h. */
#include "dispatch/dispatch.h"

#include "posthouse/address.h"
#include "posthouse/mx_route.h"

/* The next hop of one choice of a route; NULL: the configuration has no such upstream. What a route demands of TLS, and what a
 * message wishes of it, changes how the servers of a domain are judged, but not what an upstream has to do. */
static struct nexthop *nexthop_via(struct dispatch *d, struct arena *a, struct str via, const struct mx_route *mx)
{
	const struct cfg_upstream *u;
	struct nexthop *hop;

	if (str_eq(via, S("mx")))
		return mx->domain.n > 0 ? nexthop_get(d, mx_route_name(a, mx)) : NULL;
	u = config_upstream(role_config(d->role), via);
	if (!u)
		return NULL;
	hop = nexthop_get(d, arena_printf(a, "upstream:%.*s", STR_ARG(via)));
	if (hop->connections == 0) /* no route leads there */
		nexthop_apply_limits(hop, u);
	return hop;
}

/* What an administrator has sent another way has one choice. */
static struct cfg_route rerouted(const struct str *via)
{
	return (struct cfg_route){ .via = { .at = (struct str *)(uintptr_t)via, .n = 1 } };
}

/* When a next hop that is closed can open. The result of a probe wakes the scheduler by itself. */
static uint64_t opens_at(const struct nexthop *hop, uint64_t now)
{
	uint64_t wait = nexthop_rate_wait_ms(hop, now);

	if (hop->status == NEXTHOP_DOWN)
		return hop->down_until;
	return now + (wait > 0 ? wait : PROBE_WAIT_MS);
}

/* When a delivery was begun that showed that nothing goes through; 0: there was none. Time spent waiting for a turn, or for an
 * administrator who mends the relay's own fault, does not end a message's time. */
static uint64_t failing_since(const struct nexthop *hop)
{
	return hop->status != NEXTHOP_UP && hop->fault != FAULT_OURS ? hop->tried_at : 0;
}

/* Note what is known of a choice that is closed: when the first one opens, and why the first choice is closed. */
static void note_closed(struct route_choice *w, bool first, struct str name, struct str reason, uint64_t opens, uint64_t failing)
{
	if (first || opens < w->wait_until)
		w->wait_until = opens;
	if (first || failing < w->tried_at)
		w->tried_at = failing;
	if (first) {
		w->reason = reason;
		w->name = name;
	}
}

/* What does not depend on the recipient; sender NULL: not known, pauses of senders and sizes do not count. received_at 0: of
 * several messages, so no next hop is unfit. */
struct mail {
	const struct str *sender;
	uint64_t size, received_at;
	enum tls_wish wish;
};

/* A choice in the making. */
struct choosing {
	struct dispatch *dispatch;
	struct arena arena;
	struct mx_route mx;
	struct mail mail;
	uint64_t now;
	struct route_choice choice;
	const struct nexthop *too_small, *unfit;
	size_t closed; /* next hops that are configured and closed */
};

/* Of two open entries of a step, the one that is further behind its share. For a lane, which is more than one delivery, the one
 * that has the least room for its share: then the others have room for theirs. */
static bool goes_first(const struct choosing *c, const struct nexthop *hop, const struct share *share)
{
	const struct route_choice *w = &c->choice;

	if (!w->nexthop)
		return true;
	return c->mail.sender
		       ? share_is_behind(share, w->share)
		       : nexthop_room(hop, c->now) * w->share->via.weight < nexthop_room(w->nexthop, c->now) * share->via.weight;
}

/* Look at one entry of a route; share NULL: it has no weight. */
static void consider(struct choosing *c, struct str via, struct share *share)
{
	struct nexthop *hop = nexthop_via(c->dispatch, &c->arena, via, &c->mx);
	const struct sender_pause *p = NULL;
	bool open;

	if (!hop)
		return;
	open = nexthop_is_open(hop, c->now);
	if (share)
		share->is_closed = !open;
	if (hop->message_size > 0 && c->mail.size > hop->message_size) {
		c->too_small = hop;
		return;
	}
	if (c->mail.wish == TLS_WISH_REQUIRE && nexthop_is_unfit(hop, c->mail.received_at)) {
		c->unfit = hop;
		return;
	}
	if (open && c->mail.sender)
		p = sender_pause_of(hop, *c->mail.sender, c->now);
	if (p) {
		note_closed(&c->choice, c->closed++ == 0, str_of(hop->name), str_of(p->reason), p->until, p->tried_at);
	} else if (!open) {
		note_closed(&c->choice, c->closed++ == 0, str_of(hop->name), str_of(hop->reason), opens_at(hop, c->now),
			    failing_since(hop));
	} else if (goes_first(c, hop, share)) {
		c->choice.nexthop = hop;
		c->choice.share = share;
	}
}

/* The first open choice of a route; if there is none, what is known of the closed ones. */
static struct route_choice choose_of_route(struct dispatch *d, const struct cfg_route *r, struct str domain, struct mail mail,
					   uint64_t now)
{
	struct choosing c = { .dispatch = d, .mx = { domain, (enum tls_require)r->tls, mail.wish }, .mail = mail, .now = now };
	struct route_choice *w = &c.choice;

	for (size_t i = 0, n = 0; i < r->via.n && !w->nexthop; i += n) {
		struct step *step = step_get(d, &r->via, i);

		n = step ? step->n : 1;
		for (size_t k = 0; k < n; k++)
			consider(&c, via_read(r->via.at[i + k]).name, step ? &step->shares[k] : NULL);
	}
	if (!w->nexthop && c.closed == 0 && c.unfit)
		w->why = perm(550, S("5.7.30"), S("REQUIRETLS is demanded, and no next hop of the route can fulfil it"));
	else if (!w->nexthop && c.closed == 0 && c.too_small)
		w->why = perm(552, S("5.3.4"), str_of(c.too_small->too_large));
	else if (!w->nexthop && c.closed == 0)
		w->why = domain.n > 0 ? temp(451, S("4.3.5"), S("the route names no upstream that is configured"))
				      : perm(550, S("5.1.2"), S("the recipient's address has no domain"));
	arena_fini(&c.arena);
	return *w;
}

struct route_choice route_choose(struct dispatch *d, const struct routed *mail, uint64_t now)
{
	const struct envelope *e = mail->envelope;
	const struct cfg_route other = rerouted(&mail->via);
	const struct cfg_route *r =
		mail->via.n > 0 ? &other : route_find(role_config(d->role), e->login, e->sender, mail->recipient);
	struct arena a = { 0 };
	struct route_choice w = { .why = temp(451, S("4.3.5"), S("no route of the configuration applies to this recipient")) };

	if (r)
		w = choose_of_route(
			d, r, arena_lower(&a, address_domain(mail->recipient)),
			(struct mail){ &e->sender, mail->size, mail->received_at, tls_wish_of(e->options, e->sender) }, now);
	/* An administrator can send it another way once more: it does not fail for this. */
	if (mail->via.n > 0 && w.why.class == PERM && w.why.code == 552)
		w.why = temp(451, S("4.3.4"), S("it was rerouted by an upstream that takes no message of its size"));
	else if (mail->via.n > 0 && w.why.class == TEMP)
		w.why.text = S("it was rerouted by an upstream that is not configured any more");
	arena_fini(&a);
	return w;
}

struct route_choice message_choose(const struct message *m, const struct due_recipient *r, uint64_t now)
{
	return route_choose(m->dispatch,
			    &(struct routed){ .envelope = &m->due.envelope,
					      .received_at = m->due.received_at,
					      .size = m->due.prefix.n + m->due.size,
					      .recipient = r->address,
					      .via = r->via },
			    now);
}

bool route_choices_equal(const struct route_choice *a, const struct route_choice *b)
{
	if (a->nexthop || b->nexthop)
		return a->nexthop == b->nexthop;
	return a->why.class == OK && b->why.class == OK && a->wait_until == b->wait_until && a->tried_at == b->tried_at;
}

/* ---- lanes ---- */

static void take_better(struct lane_choice *best, struct dispatch *d, const struct route_choice *w, uint64_t now)
{
	struct lane_choice l = { .state = LANE_BLOCKED, .nexthop = w->nexthop, .wait_until = w->wait_until };

	if (w->why.class != OK) {
		l.state = LANE_GOES;
		l.room = SIZE_MAX;
	} else if (w->nexthop) {
		l.room = nexthop_room(w->nexthop, now);
		l.state = l.room > 0 ? LANE_GOES : LANE_WAITS;
	}
	if (l.state < best->state || (l.state == LANE_GOES && l.room > best->room) ||
	    (l.state == LANE_BLOCKED && l.wait_until < best->wait_until))
		*best = l;
}

struct lane_choice lane_choose(struct dispatch *d, const struct due_lane *lane, uint64_t now)
{
	const struct cfg_route other = rerouted(&lane->via);
	struct route_set choice = { .at = { &other }, .n = 1 };
	struct lane_choice best = { .state = LANE_BLOCKED, .wait_until = UINT64_MAX };

	if (lane->via.n == 0)
		choice = routes_for(role_config(d->role), lane->login, lane->domain);
	if (choice.n == 0 || choice.n == ROUTES_MAX)
		return (struct lane_choice){ .state = LANE_GOES, .room = SIZE_MAX };
	for (size_t i = 0; i < choice.n; i++) {
		struct route_choice w = choose_of_route(d, choice.at[i], lane->domain, (struct mail){ .wish = lane->wish }, now);

		take_better(&best, d, &w, now);
	}
	return best;
}
