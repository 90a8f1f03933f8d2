/* spf_merge.c - the one SPF record that has theirs and ours. */
#include "spf.h"

#define VERSION   "v=spf1"
#define LONG_TEXT 450 /* RFC 7208 3.4: larger answers do not surely fit into UDP */

struct merge {
	struct arena *arena;
	struct spf_term *old;
	size_t old_n, capacity;
	struct str text, dropped;
};

static void add(struct merge *m, struct str *list, struct str word)
{
	*list = arena_printf(m->arena, "%.*s%s%.*s", STR_ARG(*list), list->n > 0 ? " " : "", STR_ARG(word));
}

/* "v=spf1;", quotes around and inside: what people make of a record in forms. */
static struct str without_litter(struct arena *a, struct str old)
{
	char *text = arena_alloc(a, old.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < old.n; i++)
		if (old.p[i] != '"' && old.p[i] != '\\')
			text[n++] = old.p[i] == ';' || old.p[i] == ',' || old.p[i] == '\t' ? ' ' : old.p[i];
	return str_make(text, n);
}

static bool seen(const struct merge *m, const struct spf_term *t)
{
	for (size_t i = 0; i < m->old_n; i++)
		if (str_ieq(m->old[i].text, t->text) ||
		    ((t->kind == SPF_ALL || t->kind == SPF_REDIRECT || t->kind == SPF_EXP) && m->old[i].kind == t->kind))
			return true;
	return false;
}

/* The terms of the old record that are terms, each once. */
static void read_old(struct merge *m, struct str old)
{
	struct str rest = without_litter(m->arena, old), word, why;

	while (str_split(&rest, ' ', &word)) {
		struct spf_term t;

		if (word.n == 0 || str_ieq(word, S(VERSION)))
			continue;
		if (!spf_read_term(m->arena, word, 0, &t, &why)) {
			add(m, &m->dropped, word);
		} else if (!seen(m, &t)) {
			ARENA_GROW(m->arena, m->old, m->old_n, m->capacity);
			m->old[m->old_n++] = t;
		}
	}
}

/* Does `o` of the old record say all that `t` says? */
static bool covers(const struct spf_term *o, const struct spf_term *t)
{
	if (o->kind != t->kind || o->qualifier != t->qualifier)
		return false;
	if (t->kind == SPF_IP4)
		return o->bits4 <= t->bits4 && spf_in_network(t->address, o->address, o->bits4);
	if (t->kind == SPF_IP6)
		return o->bits6 <= t->bits6 && spf_in_network(t->address, o->address, o->bits6);
	return str_ieq(o->domain, t->domain) && o->bits4 == t->bits4 && o->bits6 == t->bits6;
}

static bool is_network(const struct spf_term *t)
{
	return t->kind == SPF_IP4 || t->kind == SPF_IP6;
}

static bool is_covered(const struct merge *m, const struct spf_term *t)
{
	for (size_t i = 0; i < m->old_n; i++) {
		/* What has another qualifier and comes first would decide. */
		if (covers(&m->old[i], t))
			return true;
		if (m->old[i].kind == SPF_ALL)
			return false;
	}
	return false;
}

/* Ours that are networks, or those that are not. */
static void add_ours(struct merge *m, const struct spf_wish *wish, bool networks)
{
	struct str why;

	for (size_t i = 0; i < wish->terms.n; i++) {
		struct spf_term t;

		if (spf_read_term(m->arena, wish->terms.at[i], 0, &t, &why) && is_network(&t) == networks && !is_covered(m, &t))
			add(m, &m->text, wish->terms.at[i]);
	}
}

/* Is a term of the old record not wanted beside ours? "?include:x" would come first, "ip4:x" be there twice. */
static bool is_replaced(struct merge *m, const struct spf_wish *wish, const struct spf_term *o)
{
	struct str why;

	for (size_t i = 0; i < wish->terms.n; i++) {
		struct spf_term t;

		if (!spf_read_term(m->arena, wish->terms.at[i], 0, &t, &why) || t.kind != o->kind || is_covered(m, &t))
			continue;
		if (is_network(o) ? covers(&t, o) : str_ieq(o->domain, t.domain))
			return true;
	}
	return false;
}

static bool is_weak(const struct spf_term *all)
{
	return all->qualifier == '+' || all->qualifier == '?';
}

static void add_end(struct merge *m, const struct spf_wish *wish, const struct spf_term *all, const struct spf_term *redirect)
{
	if (all && !(wish->all.n > 0 && is_weak(all)))
		add(m, &m->text, all->text);
	else if (redirect && !all)
		add(m, &m->text, redirect->text);
	else if (wish->all.n > 0)
		add(m, &m->text, wish->all);
}

static void write_text(struct merge *m, const struct spf_wish *wish)
{
	const struct spf_term *all = NULL, *redirect = NULL, *exp = NULL;

	m->text = S(VERSION);
	add_ours(m, wish, true);
	for (size_t i = 0; i < m->old_n; i++) {
		const struct spf_term *o = &m->old[i];

		if (o->kind == SPF_ALL)
			all = o;
		else if (o->kind == SPF_REDIRECT)
			redirect = o;
		else if (o->kind == SPF_EXP)
			exp = o;
		else if (!is_replaced(m, wish, o))
			add(m, &m->text, o->text);
	}
	add_ours(m, wish, false);
	add_end(m, wish, all, redirect);
	if (exp)
		add(m, &m->text, exp->text);
}

void spf_merge(struct arena *a, struct str old, const struct spf_wish *wish, struct spf_merged *merged_out)
{
	struct merge m = { .arena = a, .text = S(""), .dropped = S("") };

	read_old(&m, old);
	write_text(&m, wish);
	*merged_out = (struct spf_merged){
		.text = m.text,
		.dropped = m.dropped,
		.changed = !str_ieq(m.text, old),
		.long_text = m.text.n > LONG_TEXT,
	};
}
