/* dsn_form.c - see dsn_form.h. */
#include "common/dsn_form.h"

#include "common/route.h"

#include "posthouse/address.h"
#include "posthouse/arena.h"
#include "posthouse/meaning.h"

#include <string.h>

#define FORM_SHIFT 8 /* of the options: size, and reporter two bits further */

struct report_form form_read(uint64_t options)
{
	return (struct report_form){ .size = (enum report_size)(options >> FORM_SHIFT & 3),
				     .reporter = (enum reporter)(options >> (FORM_SHIFT + 2) & 3) };
}

uint64_t form_options(struct report_form form)
{
	return ((uint64_t)form.size | (uint64_t)form.reporter << 2) << FORM_SHIFT;
}

const char *form_name(struct report_form form)
{
	static const char *const names[3][3] = { { "whole", "whole as account", "whole as recipient" },
						 { "header", "header as account", "header as recipient" },
						 { "words", "words as account", "words as recipient" } };

	return names[form.size % 3][form.reporter % 3];
}

struct str report_sender(const struct config *c, const struct cfg_upstream *u)
{
	return u && u->report_sender.n > 0 ? u->report_sender : c->report_sender;
}

/* The upstream of "upstream:NAME"; NULL for a domain. */
static const struct cfg_upstream *upstream_of(const struct config *c, struct str route)
{
	return str_starts(route, S("upstream:")) ? config_upstream(c, str_from(route, strlen("upstream:"))) : NULL;
}

/* The address with which the account at an upstream is surely allowed to send; "": not known, or used already. */
static struct str account_at(const struct config *c, struct str route)
{
	const struct cfg_upstream *u = upstream_of(c, route);
	size_t at = u ? str_rfind(u->login, '@') : 0;

	if (!u || at == 0 || at + 1 >= u->login.n || str_ieq(u->login, report_sender(c, u)))
		return S("");
	return u->login;
}

struct str own_address_of(const struct config *c, struct str route)
{
	const struct cfg_upstream *u = upstream_of(c, route);

	if (!u || !u->rewrite_from)
		return S("");
	return u->from_address.n > 0 ? u->from_address : u->login;
}

/* ---- forms ---- */

/* RFC 3463: X.1.1 to X.1.3, X.1.6, X.1.10 and X.2: the mailbox cannot be reached, whatever is sent to it. */
static bool is_about_mailbox(struct str enhanced)
{
	static const struct str codes[] = { S("5.1.1"), S("5.1.2"), S("5.1.3"), S("5.1.6"), S("5.1.10") };

	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (str_eq(enhanced, codes[i]))
			return true;
	return str_starts(enhanced, S("5.2."));
}

/* Does the reply speak of the sender? This is a guess, which decides what is changed first. */
static bool is_about_sender(struct verdict v)
{
	static const struct str words[] = { S("sender"),      S("from"),    S("reverse-path"), S("return path"),
					    S("return-path"), S("null"),    S("<>"),           S("owned"),
					    S("identity"),    S("send as"), S("bounce") };
	static const struct str codes[] = { S("5.1.7"), S("5.1.8"), S("5.7.60") };
	struct arena a = { 0 };
	struct str text = arena_lower(&a, v.text);
	bool found = v.code == 501 || v.code == 553;

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		found = found || str_search(text, words[i]) < text.n;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		found = found || str_eq(v.enhanced, codes[i]);
	arena_fini(&a);
	return found;
}

/* Would the next hop say the same to any other text, or would it not say it later? */
static bool is_about_others(enum trouble trouble)
{
	switch (trouble) {
	case TROUBLE_MAILBOX:
	case TROUBLE_FULL:
	case TROUBLE_RATE:
	case TROUBLE_QUOTA:
	case TROUBLE_LOGIN:
	case TROUBLE_TLS:
	case TROUBLE_GREYLIST:
	case TROUBLE_TEMPORARY: return true;
	default: return false;
	}
}

bool form_next(const struct config *c, struct report_form form, struct str route, struct verdict refusal, uint64_t meaning,
	       struct report_form *next_out)
{
	bool can_shrink = form.size < REPORT_WORDS, can_change = form.reporter < REPORTER_RECIPIENT;

	if (refusal.code < 500 || is_about_mailbox(refusal.enhanced) || is_about_others(meaning_trouble(meaning)) ||
	    (!can_shrink && !can_change))
		return false;
	*next_out = form;
	if (can_change && (!can_shrink || is_about_sender(refusal)))
		next_out->reporter =
			form.reporter == REPORTER_USUAL && account_at(c, route).n > 0 ? REPORTER_ACCOUNT : REPORTER_RECIPIENT;
	else
		next_out->size = form.size + 1;
	return true;
}

/* ---- authors ---- */

/* The domain of mailer-daemon. A DSN is signed in the name of its From (RFC 7489 3.1.1), so a domain with a key is preferred:
 * that of the host, one above it, that of the postmaster. */
static struct str home_domain(const struct config *c)
{
	struct str postmaster = address_domain(c->postmaster);

	for (struct str d = c->hostname; str_find(d, '.') < d.n; d = str_from(d, str_find(d, '.') + 1))
		if (config_signs(c, d))
			return d;
	return config_signs(c, postmaster) ? postmaster : c->hostname;
}

/* The first choice of the route that the message will take; "" for none. */
static struct str first_via(const struct config *c, struct str recipient)
{
	const struct cfg_route *r = route_find(c, S(""), S(""), recipient);

	return r && r->via.n > 0 ? via_read(r->via.at[0]).name : S("");
}

struct report_author report_author(struct arena *a, const struct config *c, enum reporter reporter, struct str route,
				   struct str recipient)
{
	struct report_author author = { .from = S(""), .sender = S("") };

	if (reporter == REPORTER_ACCOUNT)
		author.from = author.sender = account_at(c, route);
	if (reporter == REPORTER_RECIPIENT)
		author.from = author.sender = recipient;
	if (author.from.n == 0)
		author.from = report_sender(c, config_upstream(c, first_via(c, recipient)));
	if (author.from.n == 0)
		author.from = arena_printf(a, "mailer-daemon@%.*s", STR_ARG(home_domain(c)));
	return author;
}
