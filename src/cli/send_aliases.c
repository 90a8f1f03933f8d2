/* send_aliases.c - /etc/aliases (aliases(5)): "root: alice, bob@example.org". Names are compared without regard to case;
 * lines that begin with white space go on with the line before. */
#include "send.h"

#include "posthouse/address.h"
#include "posthouse/utf8.h"

#define DEPTH_MAX 20 /* an alias of an alias of ... */

struct alias {
	struct str name, value;
};

struct send_aliases {
	struct alias *at;
	size_t n, capacity;
};

/* ---- the file ---- */

/* A line with those that go on with it, without the comment lines among them. */
static struct str take_logical_line(struct arena *a, struct str *rest)
{
	struct str whole = S(""), line;
	bool any = false;

	while (rest->n > 0 && (!any || rest->p[0] == ' ' || rest->p[0] == '\t' || rest->p[0] == '#')) {
		str_split(rest, '\n', &line);
		if (str_starts(str_trim(line), S("#")))
			continue;
		whole = any ? arena_printf(a, "%.*s %.*s", STR_ARG(whole), STR_ARG(str_trim(line))) : str_trim(line);
		any = true;
	}
	return whole;
}

/* The length of the first element of a list whose separator is not within quotes. */
static size_t element_length(struct str s, char separator)
{
	bool quoted = false;
	size_t n = 0;

	for (; n < s.n && (quoted || s.p[n] != separator); n++) {
		if (s.p[n] == '\\' && n + 1 < s.n)
			n++;
		else if (s.p[n] == '"')
			quoted = !quoted;
	}
	return n < s.n ? n : s.n;
}

static struct str without_quotes(struct str s)
{
	s = str_trim(s);
	return s.n > 1 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? str_make(s.p + 1, s.n - 2) : s;
}

struct send_aliases *send_aliases_read(struct arena *a, struct str text)
{
	struct send_aliases *all = ARENA_NEW(a, struct send_aliases);

	while (text.n > 0) {
		struct str line = take_logical_line(a, &text);
		size_t colon = element_length(line, ':');
		struct str name = without_quotes(str_head(line, colon)), value = str_trim(str_from(line, colon + 1));

		if (colon == line.n || name.n == 0 || value.n == 0)
			continue;
		ARENA_GROW(a, all->at, all->n, all->capacity);
		all->at[all->n++] = (struct alias){ name, value };
	}
	return all;
}

/* ---- what names stand for ---- */

struct expansion {
	struct arena *arena;
	const struct send_aliases *aliases;
	struct str_list *out;
	struct str_list open; /* aliases that are being expanded */
	size_t steps;
	bool full; /* somebody is not in the list */
	send_told_fn told;
	void *ctx;
};

static bool is_listed(const struct str_list *list, struct str text)
{
	for (size_t i = 0; i < list->n; i++)
		if (str_ieq(list->at[i], text))
			return true;
	return false;
}

/* Local parts can differ by case (RFC 5321 2.4), and the relay knows which are one mailbox; here equal texts are one. */
static void add_once(struct expansion *e, struct str address)
{
	for (size_t i = 0; i < e->out->n; i++)
		if (str_eq(e->out->at[i], address))
			return;
	if (e->out->n < SEND_RECIPIENTS_MAX)
		send_list_add(e->arena, e->out, address);
	else
		e->full = true;
}

static void tell(struct expansion *e, struct str name, struct str element, const char *why)
{
	if (e->told)
		e->told(e->ctx, arena_cstr(e->arena, arena_printf(e->arena, "the alias %.*s: %.*s %s", STR_ARG(name),
								  STR_ARG(utf8_shown(e->arena, element)), why)));
}

static void expand(struct expansion *e, struct str address);

/* One element of an alias. False: it is nothing that mail can be sent to from here. */
static bool expand_element(struct expansion *e, struct str name, struct str element)
{
	struct str plain = without_quotes(element);
	struct str_list addresses = { NULL, 0 };

	if (str_starts(plain, S("|")) || str_starts(plain, S("/")) || str_istarts(plain, S(":include:"))) {
		tell(e, name, plain, "is not supported: there are no programs, files and lists here, only addresses");
		return false;
	}
	if (str_starts(plain, S("\\"))) { /* the name itself, whatever aliases say */
		add_once(e, str_from(plain, 1));
		return true;
	}
	if (!send_addresses(e->arena, element, &addresses)) {
		tell(e, name, plain, "is no address");
		return false;
	}
	for (size_t i = 0; i < addresses.n; i++)
		expand(e, addresses.at[i]);
	return true;
}

static const struct alias *alias_of(const struct send_aliases *aliases, struct str address)
{
	for (size_t i = 0; aliases && address_domain(address).n == 0 && i < aliases->n; i++)
		if (str_ieq(aliases->at[i].name, address))
			return &aliases->at[i];
	return NULL;
}

static void expand(struct expansion *e, struct str address)
{
	const struct alias *alias = alias_of(e->aliases, address);
	struct str rest = alias ? alias->value : S("");
	bool any = false;

	if (!alias || is_listed(&e->open, address) || e->open.n >= DEPTH_MAX) {
		add_once(e, address);
		return;
	}
	if (++e->steps > SEND_RECIPIENTS_MAX) { /* aliases that lead to each other again and again */
		e->full = true;
		return;
	}
	send_list_add(e->arena, &e->open, address);
	while (rest.n > 0) {
		size_t n = element_length(rest, ',');
		struct str element = str_trim(str_head(rest, n));

		any |= element.n > 0 && expand_element(e, alias->name, element);
		rest = str_from(rest, n + 1);
	}
	e->open.n--;
	if (!any)
		add_once(e, address);
}

bool send_aliases_expand(struct arena *a, const struct send_aliases *aliases, struct str_list *list, send_told_fn told, void *ctx)
{
	struct str_list named = *list;
	struct expansion e = { .arena = a, .aliases = aliases, .out = list, .told = told, .ctx = ctx };

	*list = (struct str_list){ NULL, 0 };
	for (size_t i = 0; i < named.n; i++)
		expand(&e, named.at[i]);
	return !e.full;
}
