/* routes.c - the default route of a file without routes, and the checks of routes: each must lead somewhere, and mail must be
 * able to reach it. */
#include "loader.h"

#define DIRECT "mx"

/* Without routes all mail takes the only way: the one upstream, or direct delivery. */
static void default_route(struct loader *l)
{
	struct config *c = l->config;

	if (c->upstreams_n > 1) {
		fault(l, setting_near(l, "upstreams"),
		      "expected the key routes: which of the upstreams takes the mail? For example routes = ( { via = [ "
		      "\"%.*s\", \"%.*s\" ]; } );",
		      STR_ARG(c->upstreams[0].name), STR_ARG(c->upstreams[1].name));
		return;
	}
	c->routes = ARENA_NEW(l->arena, struct cfg_route);
	c->routes_n = 1;
	c->routes->via.at = ARENA_NEW(l->arena, struct str);
	c->routes->via.at[0] = c->upstreams_n == 1 ? c->upstreams[0].name : S(DIRECT);
	c->routes->via.n = 1;
}

/* Each name is known, and is there only once. */
static void check_via(struct loader *l, size_t i)
{
	const struct config *c = l->config;
	const struct str_list *via = &c->routes[i].via;

	for (size_t k = 0; k < via->n; k++) {
		const config_setting_t *s = setting_near(l, "routes.[%zu].via.[%zu]", i, k);
		struct str name = via->at[k];

		if (name.n == 0)
			continue; /* it was no name, which is a fault already */
		if (!str_eq(name, S(DIRECT)) && !config_upstream(c, name))
			fault(l, s, "routes.via: expected the name of an upstream, or \"mx\"; there is none called \"%.*s\"",
			      STR_ARG(name));
		for (size_t m = 0; m < k; m++)
			if (str_eq(name, via->at[m])) {
				fault(l, s, "routes.via: expected each way once; \"%.*s\" is named already", STR_ARG(name));
				break;
			}
	}
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

/* Does the condition hold for everything? */
static bool matches_all(const struct str_list *patterns)
{
	for (size_t i = 0; i < patterns->n; i++)
		if (str_eq(patterns->at[i], S("*")))
			return true;
	return patterns->n == 0;
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

static void check_reach(struct loader *l)
{
	const struct config *c = l->config;
	size_t all = find_catch_all(c);

	if (all == c->routes_n)
		warning(l, setting_near(l, "routes.[%zu]", all - 1),
			"routes: mail that matches none of them stays queued until it is too old; expected a last one without "
			"conditions");
	for (size_t i = all + 1; i < c->routes_n; i++)
		warning(l, setting_near(l, "routes.[%zu]", i),
			"routes: this one is never reached: element %zu of the list matches all mail", all + 1);
}

/* Is the upstream on some route that can be reached? */
static bool is_used(const struct config *c, struct str name)
{
	size_t all = find_catch_all(c);

	for (size_t i = 0; i < c->routes_n && i <= all; i++)
		for (size_t k = 0; k < c->routes[i].via.n; k++)
			if (str_eq(c->routes[i].via.at[k], name))
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

	if (c->routes_n == 0)
		default_route(l);
	for (size_t i = 0; i < c->routes_n; i++) {
		check_via(l, i);
		complete_users(l, i);
	}
	/* after another fault the rules are not those that were meant */
	if (c->routes_n > 0 && !l->serious) {
		check_reach(l);
		check_use(l);
	}
}
