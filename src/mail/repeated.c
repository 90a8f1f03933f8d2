/* repeated.c - handles fields that can be there once, but that scripts and libraries repeat: readers choose different ones. */
#include "repeated.h"

#include "field.h"
#include "fixup.h"
#include "text.h"

#define VALUE_SHOWN 80  /* bytes of each in a reply */
#define PARAMETERS  64  /* of a Content-Type: with more it is compared as text */
#define REPEATS_MAX 200 /* repetitions: each is compared with the first one, which can be long */

/* The words of a value with single spaces between them. */
static struct str squeeze(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t used = 0;
	bool space = false;

	for (size_t i = 0; i < s.n; i++) {
		if (is_wsp(s.p[i]) || s.p[i] == '\r' || s.p[i] == '\n') {
			space = used > 0;
			continue;
		}
		if (space)
			out[used++] = ' ';
		space = false;
		out[used++] = s.p[i];
	}
	return str_make(out, used);
}

/* Up to `stop` outside of quotes: without comments and white space, quotes and backslashes resolved; the rest stays in *s. */
static struct str take_bare(struct arena *a, struct str *s, char stop)
{
	char *out = arena_alloc(a, s->n + 1);
	size_t used = 0, i = 0, depth = 0;
	bool quoted = false;

	for (; i < s->n && (s->p[i] != stop || quoted || depth > 0); i++) {
		char c = s->p[i];
		if (c == '\\' && (quoted || depth > 0) && i + 1 < s->n)
			c = s->p[++i];
		else if (c == '"' && depth == 0) {
			quoted = !quoted;
			continue;
		} else if (!quoted && (c == '(' || (c == ')' && depth > 0))) {
			depth = c == '(' ? depth + 1 : depth - 1;
			continue;
		}
		if (depth == 0 && (quoted || (!is_wsp(c) && c != '\r' && c != '\n')))
			out[used++] = c;
	}
	*s = str_from(*s, i + 1);
	return str_make(out, used);
}

struct parameter {
	struct str name, value;
};

/* The parameters in the order of their names; how many there are. */
static size_t read_parameters(struct arena *a, struct str s, struct parameter *out)
{
	size_t n = 0;

	while (s.n > 0 && n < PARAMETERS) {
		size_t equals = str_find(s, '='), semicolon = str_find(s, ';'), at;
		struct str name = arena_lower(a, take_bare(a, &s, equals < semicolon ? '=' : ';'));
		struct str value = equals < semicolon ? take_bare(a, &s, ';') : S("");
		if (name.n == 0 && value.n == 0)
			continue;
		if (str_eq(name, S("charset")))
			value = arena_lower(a, value);
		for (at = n++; at > 0 && str_cmp(name, out[at - 1].name) < 0; at--)
			out[at] = out[at - 1];
		out[at] = (struct parameter){ name, value };
	}
	return n;
}

static bool types_alike(struct arena *a, struct str x, struct str y)
{
	struct parameter px[PARAMETERS], py[PARAMETERS];

	if (!str_ieq(take_bare(a, &x, ';'), take_bare(a, &y, ';')))
		return false;
	size_t n = read_parameters(a, x, px);
	if (n == PARAMETERS || read_parameters(a, y, py) != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!str_eq(px[i].name, py[i].name) || !str_eq(px[i].value, py[i].value))
			return false;
	}
	return true;
}

static bool alike(enum field_once once, struct str x, struct str y)
{
	struct arena a = { 0 };
	bool same = str_eq(squeeze(&a, x), squeeze(&a, y)) || (once == ONCE_TYPE && types_alike(&a, x, y));

	if (!same && once == ONCE_WORD)
		same = str_ieq(take_bare(&a, &x, '\0'), take_bare(&a, &y, '\0'));
	arena_fini(&a);
	return same;
}

/* Join all lists of this name in the place of the first. */
static void join_lists(struct arena *a, struct header *h, size_t first)
{
	struct header_field *f = &h->fields[first];
	struct buf b;
	bool fits = true;

	buf_init(&b, 2 * HEADER_MAX);
	for (size_t i = first; i < h->n; i++) {
		if (!str_ieq(h->fields[i].name, f->name))
			continue;
		struct str value = str_trim(h->fields[i].value);
		while (str_ends(value, S(",")))
			value = str_trim(str_head(value, value.n - 1));
		if (value.n > 0)
			fits = fits && buf_add(&b, b.n > 0 ? S(",\r\n ") : S(" ")) && buf_add(&b, value);
		if (i > first)
			h->fields[i].whole.n = 0;
	}
	*f = field_make(a, f->name, arena_str(a, buf_view(&b)));
	buf_fini(&b);
}

/* Another field of a name that `first` has. The one that goes loses its text. */
static struct verdict merge(struct arena *a, struct header *h, const struct field *row, size_t *first, size_t i)
{
	struct header_field *f = &h->fields[*first], *g = &h->fields[i];
	struct str x = str_trim(f->value), y = str_trim(g->value);

	if (row->once == ONCE_LIST) {
		join_lists(a, h, *first);
	} else if (y.n == 0 || alike(row->once, x, y)) {
		g->whole.n = 0;
	} else if (x.n == 0) {
		f->whole.n = 0;
		*first = i;
	} else {
		return perm(550, S("5.6.0"),
			    arena_printf(a, "the message has two %.*s fields that differ: \"%.*s\" and \"%.*s\" (RFC 5322 3.6)",
					 STR_ARG(row->name), STR_ARG(text_clean(a, x, VALUE_SHOWN)),
					 STR_ARG(text_clean(a, y, VALUE_SHOWN))));
	}
	return ok();
}

struct verdict merge_repeated(struct arena *a, struct header *h, bool forced)
{
	size_t first[FIELDS], kept = 0, repeats = 0;
	bool seen[FIELDS] = { false };

	for (size_t i = 0; i < h->n; i++) {
		const struct field *row = field_find(h->fields[i].name);
		size_t r = (size_t)(row - fields);
		if (row->once == REPEATS || (forced && row->fixup == AUTHOR) || h->fields[i].whole.n == 0)
			continue;
		if (!seen[r]) {
			seen[r] = true;
			first[r] = i;
			continue;
		}
		struct verdict v =
			row->once == ONCE_LIST || ++repeats <= REPEATS_MAX
				? merge(a, h, row, &first[r], i)
				: perm(550, S("5.6.0"),
				       S("the message repeats fields too often that can be there once (RFC 5322 3.6)"));
		if (v.class != OK)
			return v;
	}
	for (size_t i = 0; i < h->n; i++) {
		if (h->fields[i].whole.n > 0)
			h->fields[kept++] = h->fields[i];
	}
	h->n = kept;
	return ok();
}
