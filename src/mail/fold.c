/* fold.c - header lines that are too long (RFC 5322 2.1.1), folded at white space that is there already: unfolded, the text
 * is the same. */
#include "ascii.h"
#include "encode.h"
#include "text.h"

struct scan {
	struct str whole;
	size_t max; /* of a line */
	enum fold_where where;
	bool quoted, escaped;
	size_t depth; /* of comments */
	size_t start; /* of the line */
	size_t last;  /* the last place in the line where it can be folded; 0 = none */
};

/* Keep account of quoted strings and comments, within which a reader does not expect a fold. */
static void track(struct scan *s, char c)
{
	if (s->escaped)
		s->escaped = false;
	else if (c == '\\')
		s->escaped = s->quoted || s->depth > 0;
	else if (c == '"' && s->depth == 0)
		s->quoted = !s->quoted;
	else if (c == '(' && !s->quoted)
		s->depth++;
	else if (c == ')' && !s->quoted && s->depth > 0)
		s->depth--;
}

/* Whether the line can be folded before byte `i`: white space with something before it, but for the field's name (unless that
 * leaves no room for a word), and behind it. */
static bool can_fold(const struct scan *s, size_t i, size_t value_at)
{
	struct str w = s->whole;
	size_t first = s->max < TEXT_LINE_MAX && value_at > s->max / 2 ? value_at : value_at + 1;

	if (!is_wsp(w.p[i]) || i < first || is_wsp(w.p[i - 1]) || w.p[i - 1] == '\n')
		return false;
	if (s->where != FOLD_ANYWHERE && (s->quoted || (s->depth > 0 && s->where != FOLD_COMMENTS)))
		return false;
	while (i < w.n && is_wsp(w.p[i]))
		i++;
	return i < w.n && w.p[i] != '\r'; /* a part's last field can end with the message, without CRLF */
}

/* Write the places of new folds; how many there are. The field ends in CRLF. */
static size_t find_folds(struct scan *s, size_t value_at, size_t *folds_out)
{
	size_t n = 0;

	for (size_t i = value_at; i < s->whole.n; i++) {
		char c = s->whole.p[i];
		if (c == '\r' || c == '\n') {
			s->start = i + 1;
			s->last = 0;
			continue;
		}
		if (i - s->start >= s->max && s->last > 0) {
			folds_out[n++] = s->start = s->last;
			s->last = 0;
		}
		if (can_fold(s, i, value_at))
			s->last = i;
		track(s, c);
	}
	return n;
}

/* The text with CRLF before each of the places. */
static struct str insert_folds(struct arena *a, struct str text, const size_t *folds, size_t n)
{
	char *out = arena_alloc(a, text.n + 2 * n);
	size_t used = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		memcpy(out + used, text.p + at, folds[i] - at);
		used += folds[i] - at;
		out[used++] = '\r';
		out[used++] = '\n';
		at = folds[i];
	}
	memcpy(out + used, text.p + at, text.n - at);
	return str_make(out, used + text.n - at);
}

struct str fold_at(struct arena *a, struct str whole, size_t max, enum fold_where where)
{
	struct scan s = { .whole = whole, .max = max, .where = where };

	/* Two pieces that follow one another are together longer than a line can be, or they would be one. */
	size_t *folds = ARENA_ARRAY(a, size_t, 2 * (whole.n / max + 1));
	size_t n = find_folds(&s, str_find(whole, ':') + 1, folds);
	return n > 0 ? insert_folds(a, whole, folds, n) : whole;
}
