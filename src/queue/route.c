/* route.c - which way a recipient goes. */
#include "route.h"

/* Does a login match one of the `users` of a route? They are names; where they look like patterns, they are taken as such. */
static bool users_match(const struct str_list *users, struct str login)
{
	struct str name = str_head(login, str_find(login, '/'));

	for (size_t i = 0; i < users->n; i++) {
		struct str user = users->at[i];

		if (str_ieq(user, name) || str_eq(user, S("*")))
			return true;
		if (str_find(user, '@') < user.n && pattern_matches(user, name))
			return true;
	}
	return false;
}

/* Conditions are AND, a list is OR, an empty list is any. */
static bool route_applies(const struct cfg_route *r, struct str login, struct str sender, struct str recipient)
{
	if (r->senders.n > 0 && !patterns_match(&r->senders, sender))
		return false;
	if (r->recipients.n > 0 && !patterns_match(&r->recipients, recipient))
		return false;
	return r->users.n == 0 || users_match(&r->users, login);
}

static const struct cfg_upstream *upstream_named(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->upstreams_n; i++)
		if (str_eq(c->upstreams[i].name, name))
			return &c->upstreams[i];
	return NULL;
}

static struct route no_way(struct str text)
{
	return (struct route){ .why = temp(451, S("4.3.5"), text) };
}

struct route route_find(const struct config *c, struct str login, struct str sender, struct str recipient)
{
	for (size_t i = 0; i < c->routes_n; i++) {
		const struct cfg_route *r = &c->routes[i];
		const struct cfg_upstream *u;

		if (!route_applies(r, login, sender, recipient))
			continue;
		if (r->via.n != 1)
			return no_way(S("a route with several ways is not built yet: name one upstream in `via`"));
		if (str_eq(r->via.at[0], S("mx")))
			return no_way(S("direct delivery (`mx`) is not built yet: name an upstream in `via`"));
		u = upstream_named(c, r->via.at[0]);
		if (!u)
			return no_way(S("the route names an upstream that is not configured"));
		return (struct route){ .upstream = u };
	}
	return no_way(S("no route of the configuration applies to this recipient"));
}

bool route_uses(const struct config *c, const struct cfg_upstream *u)
{
	for (size_t i = 0; i < c->routes_n; i++)
		if (c->routes[i].via.n == 1 && str_eq(c->routes[i].via.at[0], u->name))
			return true;
	return false;
}
