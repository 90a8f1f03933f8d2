/* route.c - see route.h. */
#include "common/route.h"

#include "posthouse/policy.h"

const struct cfg_route *route_find(const struct config *c, struct str login, struct str sender, struct str recipient)
{
	for (size_t i = 0; i < c->routes_n; i++)
		if (route_unmet(&c->routes[i], login, sender, recipient) == ROUTE_APPLIES)
			return &c->routes[i];
	return NULL;
}

uint64_t route_message_size(const struct config *c, const struct envelope *envelope, struct str recipient)
{
	const struct cfg_route *r = route_find(c, envelope->login, envelope->sender, recipient);
	uint64_t most = 0;

	for (size_t i = 0; r && i < r->via.n; i++) {
		const struct cfg_upstream *u = config_upstream(c, r->via.at[i]);

		if (!u || u->message_size == 0)
			return UINT64_MAX;
		most = u->message_size > most ? u->message_size : most;
	}
	return most > 0 ? most : UINT64_MAX;
}

/* ---- without knowing the whole addresses ---- */

enum answer { NO, MAYBE, YES };

/* Does one of the patterns match an address in this domain? `postmaster` stands for any local part. */
static enum answer recipients_answer(const struct str_list *patterns, struct str postmaster)
{
	enum answer answer = NO;

	if (patterns->n == 0)
		return YES;
	for (size_t i = 0; i < patterns->n; i++) {
		struct str p = patterns->at[i];
		size_t at = str_rfind(p, '@');

		if (at == p.n || at == 0) {
			if (pattern_matches(p, postmaster))
				return YES;
		} else if (pattern_matches(str_from(p, at), postmaster)) {
			answer = MAYBE;
		}
	}
	return answer;
}

static enum answer senders_answer(const struct str_list *patterns)
{
	if (patterns->n == 0)
		return YES;
	for (size_t i = 0; i < patterns->n; i++)
		if (str_eq(patterns->at[i], S("*")))
			return YES;
	return MAYBE;
}

static enum answer route_answer(const struct cfg_route *r, struct str login, struct str postmaster)
{
	enum answer recipients = recipients_answer(&r->recipients, postmaster);

	if (recipients == NO || (r->users.n > 0 && !route_users_match(&r->users, login)))
		return NO;
	return recipients == YES ? senders_answer(&r->senders) : MAYBE;
}

struct route_set routes_for(const struct config *c, struct str login, struct str domain)
{
	struct route_set choice = { .n = 0 };
	struct arena a = { 0 };
	struct str postmaster = arena_printf(&a, "postmaster@%.*s", STR_ARG(domain));

	for (size_t i = 0; i < c->routes_n && choice.n < ROUTES_MAX; i++) {
		enum answer answer = route_answer(&c->routes[i], login, postmaster);

		if (answer != NO)
			choice.at[choice.n++] = &c->routes[i];
		if (answer == YES) {
			choice.complete = true;
			break;
		}
	}
	arena_fini(&a);
	return choice;
}

bool route_uses(const struct config *c, struct str via)
{
	for (size_t i = 0; i < c->routes_n; i++)
		for (size_t k = 0; k < c->routes[i].via.n; k++)
			if (str_eq(via_read(c->routes[i].via.at[k]).name, via))
				return true;
	return false;
}
