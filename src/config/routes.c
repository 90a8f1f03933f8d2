/* routes.c - the routes that a file without routes has, those that upstreams.senders ask for, and the checks of routes: each must
 * lead somewhere, and mail must be able to reach it. */
#include "loader.h"

#define DIRECT "mx"

static struct str null_sender[] = { S(NULL_SENDER) };

static void add_name(struct loader *l, struct str_list *names, struct str name)
{
	if (!names->at)
		names->at = ARENA_ARRAY(l->arena, struct str, l->config->upstreams_n + 1);
	names->at[names->n++] = name;
}

/* The upstreams with senders, or those without, in their order. */
static struct str_list names_of(struct loader *l, bool with_senders)
{
	const struct config *c = l->config;
	struct str_list names = { 0 };

	for (size_t i = 0; i < c->upstreams_n; i++)
		if ((c->upstreams[i].senders.n > 0) == with_senders)
			add_name(l, &names, c->upstreams[i].name);
	return names;
}

/* Without routes all mail takes the only way: the one upstream, or direct delivery. Beside upstreams with senders, those
 * without senders take the other mail. When there are none, nobody has said that other mail is to go anywhere, so it waits; but
 * reports of the relay go through all of them. */
static void default_route(struct loader *l)
{
	struct config *c = l->config;
	struct str_list others = names_of(l, false);
	struct cfg_route route = { .via = others };

	if (others.n > 1 && others.n == c->upstreams_n) {
		fault(l, setting_near(l, "upstreams"),
		      "expected the key routes: which of the upstreams takes the mail? For example routes = ( { via = [ "
		      "\"%.*s\", \"%.*s\" ]; } );",
		      STR_ARG(c->upstreams[0].name), STR_ARG(c->upstreams[1].name));
		return;
	}
	if (c->upstreams_n == 0)
		add_name(l, &route.via, S(DIRECT));
	else if (others.n == 0)
		route = (struct cfg_route){ .senders = { null_sender, 1 }, .via = names_of(l, true) };
	c->routes = ARENA_NEW(l->arena, struct cfg_route);
	c->routes[0] = route;
	c->routes_n = 1;
}

/* ---- upstreams.senders: routes before all others ---- */

static bool lists_equal(const struct str_list *a, const struct str_list *b)
{
	size_t i = 0;

	while (i < a->n && i < b->n && str_eq(a->at[i], b->at[i]))
		i++;
	return i == a->n && i == b->n;
}

/* Does the condition hold for everything? */
static bool matches_all(const struct str_list *patterns)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (str_eq(patterns->at[i], S("*")))
			return true;
	return patterns->n == 0;
}

static bool has_pattern(const struct str_list *patterns, struct str pattern)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (str_ieq(patterns->at[i], pattern))
			return true;
	return false;
}

/* The upstreams from number `i` on that have its list of senders; none when an earlier upstream has this list. */
static struct str_list with_same_senders(struct loader *l, size_t i)
{
	const struct config *c = l->config;
	const struct str_list *senders = &c->upstreams[i].senders;
	struct str_list names = { 0 };

	for (size_t k = 0; k < c->upstreams_n; k++) {
		bool same = lists_equal(&c->upstreams[k].senders, senders);

		if (same && k < i)
			return names;
		if (same)
			add_name(l, &names, c->upstreams[k].name);
		for (size_t m = 0; k < i && m < senders->n; m++)
			if (has_pattern(&c->upstreams[k].senders, senders->at[m]))
				warning(l, setting_near(l, "upstreams.[%zu].senders.[%zu]", i, m),
					"upstreams.senders: mail of \"%.*s\" goes by \"%.*s\", which comes before \"%.*s\"",
					STR_ARG(senders->at[m]), STR_ARG(c->upstreams[k].name), STR_ARG(c->upstreams[i].name));
	}
	return names;
}

/* A report has the null sender, and goes to the sender of its original: by the upstream that serves that sender. */
static void make_routes(struct loader *l)
{
	struct config *c = l->config;
	struct cfg_route *all = ARENA_ARRAY(l->arena, struct cfg_route, 2 * c->upstreams_n + c->routes_n + 1);
	size_t n = 0, given = 0;

	for (size_t i = 0; i < c->upstreams_n; i++) {
		struct str_list senders = c->upstreams[i].senders, via = { 0 };

		if (senders.n > 0)
			via = with_same_senders(l, i);
		if (via.n == 0)
			continue;
		all[n++] = (struct cfg_route){ .senders = senders, .via = via };
		if (!matches_all(&senders))
			all[n++] = (struct cfg_route){ .senders = { null_sender, 1 }, .recipients = senders, .via = via };
	}
	/* a dumped configuration has them already */
	while (given < n && given < c->routes_n && c->routes[given].users.n == 0 &&
	       lists_equal(&c->routes[given].senders, &all[given].senders) &&
	       lists_equal(&c->routes[given].recipients, &all[given].recipients) &&
	       lists_equal(&c->routes[given].via, &all[given].via))
		given++;
	if (given == n)
		return;
	for (size_t i = 0; i < c->routes_n; i++)
		all[n + i] = c->routes[i];
	c->routes = all;
	c->routes_n += n;
	l->made_routes = n;
}

/* ---- checks ---- */

/* Each name is known, and is there only once. */
static void check_via(struct loader *l, size_t i)
{
	const struct config *c = l->config;
	const struct str_list *via = &c->routes[i].via;

	for (size_t k = 0; k < via->n; k++) {
		const config_setting_t *s = setting_near(l, "routes.[%zu].via.[%zu]", i - l->made_routes, k);
		struct str name = via_read(via->at[k]).name;

		if (name.n == 0)
			continue; /* it was no name, which is a fault already */
		if (!str_eq(name, S(DIRECT)) && !config_upstream(c, name))
			fault(l, s, "routes.via: expected the name of an upstream, or \"mx\"; there is none called \"%.*s\"",
			      STR_ARG(name));
		for (size_t m = 0; m < k; m++)
			if (str_eq(name, via_read(via->at[m]).name)) {
				fault(l, s, "routes.via: expected each way once; \"%.*s\" is named already", STR_ARG(name));
				break;
			}
	}
}

static bool has_direct(const struct str_list *via)
{
	for (size_t i = 0; i < via->n; i++)
		if (str_eq(via_read(via->at[i]).name, S(DIRECT)))
			return true;
	return false;
}

static void check_tls(struct loader *l, size_t i)
{
	const struct cfg_route *r = &l->config->routes[i];

	if (r->tls != TLS_REQUIRE_DEFAULT && r->via.n > 0 && !has_direct(&r->via))
		fault(l, setting_near(l, "routes.[%zu].tls", i - l->made_routes),
		      "routes.tls: expected \"mx\" in via beside it; the TLS of an upstream is what upstreams.tls says");
}

/* The relay knows logins with their realm, so a bare name in a route gets the realm. */
static void complete_users(struct loader *l, size_t i)
{
	const struct config *c = l->config;
	struct str_list *users = &c->routes[i].users;

	for (size_t k = 0; k < users->n; k++)
		if (!str_eq(users->at[k], S("*")))
			users->at[k] = login_complete(l->arena, users->at[k], c->auth.realm);
}

static bool is_catch_all(const struct cfg_route *r)
{
	return matches_all(&r->senders) && matches_all(&r->recipients) && matches_all(&r->users);
}

/* The number of the first catch-all: routes_n when there is none. */
static size_t find_catch_all(const struct config *c)
{
	size_t i = 0;

	while (i < c->routes_n && !is_catch_all(&c->routes[i]))
		i++;
	return i;
}

static void check_reach(struct loader *l, bool given)
{
	const struct config *c = l->config;
	size_t all = find_catch_all(c), made = l->made_routes;
	struct str name = all < c->routes_n ? c->routes[all].via.at[0] : S("");

	if (all == c->routes_n && !given)
		warning(l, setting_near(l, "upstreams"),
			"upstreams: mail of other senders than those in upstreams.senders stays queued until it is too old; "
			"expected an upstream without senders, or routes");
	else if (all == c->routes_n)
		warning(l, setting_near(l, "routes.[%zu]", all - 1 - made),
			"routes: mail that matches none of them stays queued until it is too old; expected a last one without "
			"conditions");
	for (size_t i = all + 1 > made ? all + 1 : made; i < c->routes_n && given; i++)
		if (all < made)
			warning(l, setting_near(l, "routes.[%zu]", i - made),
				"routes: this one is never reached: \"%.*s\" serves all senders", STR_ARG(name));
		else
			warning(l, setting_near(l, "routes.[%zu]", i - made),
				"routes: this one is never reached: element %zu of the list matches all mail", all + 1 - made);
}

/* Is the upstream, or direct delivery, on some route that can be reached? */
static bool is_used(const struct config *c, struct str name)
{
	size_t all = find_catch_all(c);

	for (size_t i = 0; i < c->routes_n && i <= all; i++)
		for (size_t k = 0; k < c->routes[i].via.n; k++)
			if (str_eq(via_read(c->routes[i].via.at[k]).name, name))
				return true;
	return false;
}

static void check_use(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->upstreams_n; i++)
		if (c->upstreams[i].name.n > 0 && !is_used(c, c->upstreams[i].name))
			warning(l, setting_near(l, "upstreams.[%zu].name", i),
				"upstreams: \"%.*s\" is named by no route that mail can take", STR_ARG(c->upstreams[i].name));
}

void routes_check(struct loader *l)
{
	struct config *c = l->config;
	bool given = c->routes_n > 0;

	if (!given)
		default_route(l);
	make_routes(l);
	c->delivery.uses_dane = c->delivery.dane && is_used(c, S(DIRECT));
	for (size_t i = l->made_routes; i < c->routes_n; i++) {
		check_via(l, i);
		check_tls(l, i);
		complete_users(l, i);
		c->routes[i].place = given ? i - l->made_routes + 1 : 0;
		c->delivery.uses_dane = c->delivery.uses_dane || c->routes[i].tls == TLS_REQUIRE_DANE;
	}
	c->delivery.uses_mta_sts = c->delivery.mta_sts && is_used(c, S(DIRECT));
	for (size_t i = 0; i < c->tls_n; i++)
		c->delivery.uses_dane = c->delivery.uses_dane || c->tls[i].demand.require == TLS_REQUIRE_DANE;
	for (size_t i = 0; i < c->upstreams_n; i++)
		c->delivery.uses_dane = c->delivery.uses_dane || c->upstreams[i].tls == UPSTREAM_DANE;
	/* after another fault the rules are not those that were meant */
	if (c->routes_n > 0 && !l->serious) {
		check_reach(l, given);
		check_use(l);
	}
}
