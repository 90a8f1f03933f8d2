/* explain_path.c - `posthouse explain`: route, next hop, TLS, and what the receiver makes of it. */
#include "explain.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/dmarc.h"
#include "posthouse/metrics.h"
#include "posthouse/mx_route.h"
#include "posthouse/names.h"
#include "posthouse/policy.h"

/* ---- route ---- */

/* "routes[2]", or the key of which the loader has made the route; "": there are no routes in the file. */
static struct str route_name(struct explain *e, const struct cfg_route *r)
{
	if (r->place > 0)
		return arena_printf(&e->arena, "routes[%llu]", (unsigned long long)r->place);
	for (size_t u = 0; u < e->c->upstreams_n; u++)
		if (e->c->upstreams[u].senders.n > 0 && str_eq(via_read(r->via.at[0]).name, e->c->upstreams[u].name))
			return arena_printf(&e->arena, "upstreams[%zu].senders", u + 1);
	return S("");
}

static bool is_for_all(const struct cfg_route *r)
{
	return r->senders.n == 0 && r->recipients.n == 0 && r->users.n == 0;
}

/* "isp, then mx" */
static struct str via_text(struct explain *e, const struct cfg_route *r)
{
	struct str text = S("");

	for (size_t i = 0; i < r->via.n; i++)
		text = arena_printf(&e->arena, "%.*s%s%.*s", STR_ARG(text), i ? ", then " : "", STR_ARG(r->via.at[i]));
	return text;
}

static const struct cfg_route *explain_route(struct explain *e, struct str recipient)
{
	static const char *const unmet[] = {
		[ROUTE_SENDERS] = "senders", [ROUTE_RECIPIENTS] = "recipients", [ROUTE_USERS] = "users"
	};
	struct str misses = S(""), name;

	for (size_t i = 0; i < e->c->routes_n; i++) {
		const struct cfg_route *r = &e->c->routes[i];
		enum route_condition condition = route_unmet(r, e->login, e->sender, recipient);

		name = route_name(e, r);
		if (condition == ROUTE_APPLIES) {
			explain_step(e, "route", EXPLAINED_OK, name,
				     arena_printf(&e->arena, "%.*s%s -> %.*s%s%.*s", STR_ARG(name.n ? name : S("the only one")),
						  is_for_all(r) && name.n ? " (all)" : "", STR_ARG(via_text(e, r)),
						  misses.n ? "\n" : "", STR_ARG(misses)));
			return r;
		}
		misses = arena_printf(&e->arena, "%.*s%s%.*s not: %s", STR_ARG(misses), misses.n ? "; " : "", STR_ARG(name),
				      unmet[condition]);
	}
	explain_step(e, "route", EXPLAINED_HELD, S(""),
		     arena_printf(&e->arena, "none applies: it waits for you\n%.*s", STR_ARG(misses)));
	return NULL;
}

/* ---- next hop ---- */

static const struct rec_stat *figure(const struct explain *e, enum metric metric, struct str label)
{
	for (size_t i = 0; e->queue && i < e->queue->stats.n; i++) {
		const struct rec_stat *t = &e->queue->stats.at[i];

		/* the label of a rate is that of the next hop with the rate behind it */
		if (t->metric == metric &&
		    (str_eq(t->label, label) ||
		     (metric == METRIC_QUEUE_NEXTHOP_USED && str_eq(str_head(t->label, str_rfind(t->label, ' ')), label))))
			return t;
	}
	return NULL;
}

/* "smtp.isp.example:587" or "the mail servers of corp.test" */
static struct str server_text(struct explain *e, const struct cfg_upstream *u, struct str domain)
{
	uint64_t port = u && u->port > 0 ? u->port : u && u->tls == UPSTREAM_IMPLICIT ? 465 : 587;

	if (!u)
		return arena_printf(&e->arena, "the mail servers of %.*s", STR_ARG(domain));
	return arena_printf(&e->arena, "%.*s:%llu", STR_ARG(u->host), (unsigned long long)port);
}

/* How the next hop stands; *open_out: mail goes there now. */
static struct str state_text(struct explain *e, const struct cfg_upstream *u, const struct mx_route *mx, bool *open_out)
{
	struct str label = u ? arena_printf(&e->arena, "upstream:%.*s", STR_ARG(u->name)) : mx_route_name(&e->arena, mx);
	const struct rec_stat *down = figure(e, METRIC_QUEUE_NEXTHOP_DOWN, label);
	const struct rec_stat *used = figure(e, METRIC_QUEUE_NEXTHOP_USED, label);
	struct str server = server_text(e, u, mx->domain), use = S("");
	uint64_t now = clock_now_ms();

	*open_out = !down || down->value == 0;
	if (u && u->message_size > 0 && e->size > u->message_size) {
		*open_out = false;
		return arena_printf(&e->arena, "%.*s takes at most %llu bytes", STR_ARG(server),
				    (unsigned long long)u->message_size);
	}
	if (!e->queue)
		return arena_printf(&e->arena, "%.*s, state not known", STR_ARG(server));
	if (used)
		use = arena_printf(&e->arena, ", %llu used %.*s", (unsigned long long)used->value, STR_ARG(used->text));
	if (*open_out)
		return arena_printf(&e->arena, "%.*s, up%.*s", STR_ARG(server), STR_ARG(use));
	return arena_printf(&e->arena, "%.*s is down, next attempt in %.*s: %.*s", STR_ARG(server),
			    STR_ARG(age_text(&e->arena, down->value > now ? down->value - now : 0)), STR_ARG(down->text));
}

/* Entries with weights that are next to each other are one step of a route: its mail is divided among them. */
static size_t step_length(const struct str_list *via, size_t first, uint64_t *weights_out)
{
	size_t end = first;

	*weights_out = 0;
	for (uint64_t w; end < via->n && (w = via_read(via->at[end]).weight) > 0; end++)
		*weights_out += w;
	return end > first ? end - first : 1;
}

static struct str joined(struct explain *e, struct str lines, struct str more)
{
	return arena_printf(&e->arena, "%.*s%s%.*s", STR_ARG(lines), lines.n && more.n ? "\n" : "", STR_ARG(more));
}

/* Where mail of a route can go now. */
struct choice {
	const struct cfg_upstream **upstreams; /* NULL: the recipient's own servers */
	size_t n;
	struct str open, closed; /* what is said of the entries that were looked at */
};

/* Look at the entry `i`; weights 0: it has none. */
static void consider(struct explain *e, const struct cfg_route *r, size_t i, uint64_t weights, struct str recipient,
		     struct choice *choice)
{
	struct via via = via_read(r->via.at[i]);
	const struct cfg_upstream *u = config_upstream(e->c, via.name);
	struct mx_route mx = { address_domain(recipient), (enum tls_require)r->tls, e->wish };
	bool open;
	struct str state = state_text(e, u, &mx, &open);

	if (weights > via.weight)
		state = arena_printf(&e->arena, "%llu of %llu by %.*s: %.*s", (unsigned long long)via.weight,
				     (unsigned long long)weights, STR_ARG(via.name), STR_ARG(state));
	if (open) {
		choice->upstreams[choice->n++] = u;
		choice->open = joined(e, choice->open, state);
	} else {
		choice->closed = joined(e, choice->closed, state);
	}
}

/* What of the route mail can take now; when nothing is open, the first entry, for which it waits. */
static struct choice explain_next_hop(struct explain *e, const struct cfg_route *r, struct str recipient)
{
	struct choice choice = { .upstreams = ARENA_ARRAY(&e->arena, const struct cfg_upstream *, r->via.n + 1) };
	uint64_t weights;
	bool open;

	for (size_t i = 0, n; i < r->via.n && choice.n == 0; i += n) {
		n = step_length(&r->via, i, &weights);
		for (size_t k = 0; k < n; k++)
			consider(e, r, i + k, weights, recipient, &choice);
	}
	open = choice.n > 0;
	if (!open)
		choice.upstreams[choice.n++] = config_upstream(e->c, via_read(r->via.at[0]).name);
	/* the ones that are open come first, the closed ones before them are the reasons */
	explain_step(e, "next hop",
		     !open      ? EXPLAINED_WAITS
		     : e->queue ? EXPLAINED_OK
				: EXPLAINED_UNKNOWN,
		     S(""), joined(e, choice.open, choice.closed));
	return choice;
}

/* ---- TLS and receiver ---- */

static void explain_tls(struct explain *e, const struct cfg_route *r, const struct cfg_upstream *u, struct str recipient)
{
	struct str rule = u ? arena_printf(&e->arena, "upstreams[%zu]", (size_t)(u - e->c->upstreams) + 1) : S(""), name;

	if (!u) {
		explain_domain_tls(e, domain_canonical(&e->arena, address_domain(recipient)), (enum tls_require)r->tls,
				   route_name(e, r));
		return;
	}
	if (e->wish == TLS_WISH_REQUIRE && (u->tls == UPSTREAM_NONE || u->tls == UPSTREAM_OPPORTUNISTIC)) {
		explain_step(
			e, "TLS", EXPLAINED_NONE, rule,
			arena_printf(&e->arena,
				     "not verified: with REQUIRETLS it takes another entry of the route, or comes back (%.*s)",
				     STR_ARG(rule)));
		return;
	}
	name = u->tls_name.n > 0 ? u->tls_name : u->host;
	if (u->tls == UPSTREAM_NONE)
		explain_step(e, "TLS", EXPLAINED_NONE, rule,
			     arena_printf(&e->arena, "none: all is clear text (%.*s)", STR_ARG(rule)));
	else if (u->tls == UPSTREAM_DANE)
		explain_step(e, "TLS", EXPLAINED_OK, rule,
			     arena_printf(&e->arena, "required, certificate must be as the TLSA records of %.*s say (%.*s)",
					  STR_ARG(u->host), STR_ARG(rule)));
	else if (u->tls_fingerprints.n > 0)
		explain_step(e, "TLS", EXPLAINED_OK, rule,
			     arena_printf(&e->arena, "required, certificate or key must have a fingerprint of the list (%.*s)",
					  STR_ARG(rule)));
	else if (u->tls == UPSTREAM_OPPORTUNISTIC)
		explain_step(e, "TLS", EXPLAINED_OK, rule,
			     arena_printf(&e->arena, "where it is offered, no name is verified (%.*s)", STR_ARG(rule)));
	else
		explain_step(
			e, "TLS", EXPLAINED_OK, rule,
			arena_printf(&e->arena, "required, certificate must bear %.*s (%.*s)", STR_ARG(name), STR_ARG(rule)));
}

static void explain_receiver(struct explain *e, const struct cfg_upstream *u)
{
	bool signs = e->signs.n > 0 && domains_align(e->signs, address_domain(e->author), false);
	bool aligned = e->sender.n > 0 && domains_align(address_domain(e->sender), address_domain(e->author), false);
	const char *spf = u ? "the provider's address" : "this relay's address";

	if (u && u->rewrite_from)
		explain_step(e, "receiver", EXPLAINED_OK, S(""),
			     arena_printf(&e->arena, "sees %.*s in From: upstreams.rewrite_from",
					  STR_ARG(u->from_address.n > 0 ? u->from_address : u->login)));
	else if (signs && !e->key_missing)
		explain_step(e, "receiver", EXPLAINED_OK, S(""),
			     arena_printf(&e->arena, "DKIM aligned: passes DMARC. SPF: %s", spf));
	else
		explain_step(e, "receiver", EXPLAINED_NONE, S(""),
			     arena_printf(&e->arena, "no DKIM of %.*s%s: DMARC needs SPF for %s%s",
					  STR_ARG(address_domain(e->author)), signs ? " that can be verified" : "", spf,
					  aligned ? "" : ", and it is not aligned"));
}

void explain_path(struct explain *e, struct str recipient)
{
	const struct cfg_route *r;
	struct choice choice;

	if (e->recipients.n > 1)
		explain_step(e, "to", EXPLAINED_NONE, S(""), recipient);
	r = explain_route(e, recipient);
	if (!r)
		return;
	choice = explain_next_hop(e, r, recipient);
	for (size_t i = 0; i < choice.n; i++)
		explain_tls(e, r, choice.upstreams[i], recipient);
	for (size_t i = 0; i < choice.n && !e->anybody; i++)
		if (i == 0 || (choice.upstreams[i] && choice.upstreams[i]->rewrite_from))
			explain_receiver(e, choice.upstreams[i]);
}
