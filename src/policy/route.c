/* route.c - the conditions of routes. */
#include "posthouse/policy.h"

bool route_users_match(const struct str_list *users, struct str login)
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

static bool senders_match(const struct str_list *senders, struct str sender)
{
	for (size_t i = 0; i < senders->n && sender.n == 0; i++)
		if (str_eq(senders->at[i], S(NULL_SENDER)))
			return true;
	return patterns_match(senders, sender);
}

/* Conditions are AND, a list is OR, an empty list is any. */
enum route_condition route_unmet(const struct cfg_route *r, struct str login, struct str sender, struct str recipient)
{
	if (r->senders.n > 0 && !senders_match(&r->senders, sender))
		return ROUTE_SENDERS;
	if (r->recipients.n > 0 && !patterns_match(&r->recipients, recipient))
		return ROUTE_RECIPIENTS;
	return r->users.n == 0 || route_users_match(&r->users, login) ? ROUTE_APPLIES : ROUTE_USERS;
}
