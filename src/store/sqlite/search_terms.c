/* search_terms.c - the terms of a message, and those that what is looked for must have. */
#include "search.h"

#include "posthouse/address.h"
#include "posthouse/names.h"

enum field { FIELD_LOGIN = 1, FIELD_ID, FIELD_SENDER, FIELD_RECIPIENT, FIELD_SUBJECT, FIELD_CHARACTER };

#define CHARACTERS_MAX 512 /* of one text: more are not looked at, since no address and no subject is that long */
#define RUN_STEP       3   /* terms without a character in common say most: they are looked up first */
#define BEGIN          S("\x02")
#define END            S("\x03")
#define TERM_BITS      40

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ull;
	return x ^ x >> 29;
}

/* The first 24 bits are of the first two characters, so that all terms with these are neighbours in one bucket. */
static uint64_t pair_part(enum field field, uint32_t one, uint32_t two)
{
	uint64_t hash = mix(mix((uint64_t)field << 56 ^ (uint64_t)one << 24 ^ two));

	return (hash & 0xffffff) << 16;
}

static uint64_t term_of(enum field field, const uint32_t *c)
{
	return pair_part(field, c[0], c[1]) | ((c[2] ^ c[2] >> 16) & 0xffff);
}

static uint64_t term_of_whole(enum field field, struct str text)
{
	return mix(hash_fixed((uint64_t)field, text)) & ((1ull << TERM_BITS) - 1);
}

static uint64_t term_of_character(uint32_t c)
{
	return mix(mix((uint64_t)FIELD_CHARACTER << 56 ^ c)) & ((1ull << TERM_BITS) - 1);
}

/* The characters of a text; bytes that are no UTF-8 count as characters of their own. */
static size_t characters(struct str text, uint32_t c[CHARACTERS_MAX])
{
	size_t n = 0;

	while (text.n > 0 && n < CHARACTERS_MAX) {
		size_t length = utf8_char(text, &c[n]);

		if (length == 0)
			c[n] = 0x200000u | (unsigned char)*text.p;
		text = str_from(text, length ? length : 1);
		n++;
	}
	return n;
}

/* ---- of a message ---- */

static void add(struct term_list *to, uint64_t term)
{
	ARRAY_GROW(to->at, to->n, to->capacity);
	to->at[to->n++] = term;
}

static void add_text(struct term_list *to, enum field field, struct str text)
{
	uint32_t c[CHARACTERS_MAX];
	size_t n = characters(text, c);

	for (size_t i = 0; i + 3 <= n; i++)
		add(to, term_of(field, c + i));
	for (size_t i = 0; field == FIELD_SUBJECT && i < n; i++)
		if (c[i] >= 0x80) /* a word can be one character */
			add(to, term_of_character(c[i]));
}

static void add_address(struct term_list *to, struct arena *a, enum field field, struct str address)
{
	struct str folded = text_folded(a, address), local = address_bare_local(address_local(folded));

	add_text(to, field, arena_printf(a, "\x02%.*s@%.*s\x03", STR_ARG(local), STR_ARG(address_domain(folded))));
}

void terms_of_message(struct term_list *to, struct arena *scratch, const struct envelope *e)
{
	struct str id = match_id(scratch, e->message_id);

	if (e->login.n)
		add(to, term_of_whole(FIELD_LOGIN, e->login));
	if (id.n)
		add(to, term_of_whole(FIELD_ID, id));
	if (e->sender.n)
		add_address(to, scratch, FIELD_SENDER, e->sender);
	if (e->subject.n)
		add_text(to, FIELD_SUBJECT, arena_printf(scratch, "\x02%.*s\x03", STR_ARG(text_folded(scratch, e->subject))));
}

void terms_of_recipient(struct term_list *to, struct arena *scratch, struct str address, struct str orcpt)
{
	struct str first = orcpt_address(scratch, orcpt);

	add_address(to, scratch, FIELD_RECIPIENT, address);
	if (first.n > 0 && !str_eq(first, address))
		add_address(to, scratch, FIELD_RECIPIENT, address_with_canonical_domain(scratch, first));
}

/* ---- of what is looked for ---- */

static void ask(struct alternative *to, uint64_t first, uint64_t last)
{
	if (to->n < LOOKUPS_MAX)
		to->at[to->n++] = (struct lookup){ first, last };
}

/* A text without "*" that must be there. */
static void ask_run(struct alternative *to, enum field field, struct str run)
{
	uint32_t c[CHARACTERS_MAX];
	size_t n = characters(run, c);

	for (size_t begin = 0; begin < RUN_STEP; begin++)
		for (size_t i = begin; i + 3 <= n; i += RUN_STEP)
			ask(to, term_of(field, c + i), term_of(field, c + i));
	if (n == 2) /* something follows: a character, or the end */
		ask(to, pair_part(field, c[0], c[1]), pair_part(field, c[0], c[1]) | 0xffff);
	if (n == 1 && field == FIELD_SUBJECT && c[0] >= 0x80)
		ask(to, term_of_character(c[0]), term_of_character(c[0]));
}

/* A pattern; `before` and `after`: what is in front of and behind the text that it must fit. */
static void ask_pattern(struct alternative *to, struct arena *a, enum field field, struct str pattern, struct str before,
			struct str after)
{
	struct str rest = arena_printf(a, "%.*s%.*s%.*s", STR_ARG(before), STR_ARG(pattern), STR_ARG(after)), run;

	while (str_split(&rest, '*', &run))
		if (!str_eq(run, before) && !str_eq(run, after)) /* "*" next to it: it says nothing */
			ask_run(to, field, run);
}

static struct condition *new_condition(struct search *s, size_t alternatives)
{
	s->at[s->n] = (struct condition){ .n = alternatives };
	return &s->at[s->n++];
}

static void ask_address(struct search *s, struct arena *a, enum field field, const struct address_pattern *p)
{
	bool open = p->local.n == 0 || str_ends(p->local, S("*"));
	size_t locals = open ? 1 : 2; /* "a@" and "a+tag@" */
	struct condition *c;

	if (p->any || p->null_sender)
		return;
	c = new_condition(s, locals + p->either);
	for (size_t i = 0; i < locals; i++) {
		if (p->local.n > 0)
			ask_pattern(&c->at[i], a, field, p->local, BEGIN, open ? S("") : i ? S("+") : S("@"));
		if (p->domain.n > 0 && !p->either)
			ask_pattern(&c->at[i], a, field, p->domain, S("@"), END);
	}
	if (p->either)
		ask_pattern(&c->at[locals], a, field, p->domain, S("@"), END);
}

void search_of(struct search *s, struct arena *a, const struct matcher *m)
{
	uint64_t term;

	s->n = 0;
	if (m->message_id.n) {
		term = term_of_whole(FIELD_ID, m->message_id);
		ask(&new_condition(s, 1)->at[0], term, term);
	}
	if (m->words.n) {
		struct condition *c = new_condition(s, 1);

		for (size_t i = 0; i < m->words.n; i++)
			ask_pattern(&c->at[0], a, FIELD_SUBJECT, m->words.at[i], S(""), S(""));
	}
	ask_address(s, a, FIELD_RECIPIENT, &m->recipient);
	ask_address(s, a, FIELD_SENDER, &m->sender);
	if (m->find->user.n) {
		term = term_of_whole(FIELD_LOGIN, m->find->user);
		ask(&new_condition(s, 1)->at[0], term, term);
	}
}
