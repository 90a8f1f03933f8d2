/* fold.c - header lines that are too long (RFC 5322 2.1.1), folded at white space that is there already: unfolded, the text is the
 * same. */
#include "fixup.h"

#include "encode.h"
#include "text.h"

struct scan {
	struct str whole;
	bool unstructured; /* quotes and parentheses mean nothing */
	bool quoted, escaped;
	size_t depth; /* of comments */
	size_t start; /* of the line */
	size_t last;  /* the last place in the line where it can be folded; 0 = none */
};

/* Keep account of quoted strings and comments, within which a reader may not expect a fold. */
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

/* Whether the line can be folded before byte `i`: white space with something before it, but for the field's name, and behind it. */
static bool can_fold(const struct scan *s, size_t i, size_t value_at)
{
	struct str w = s->whole;

	if (!is_wsp(w.p[i]) || i <= value_at || is_wsp(w.p[i - 1]) || w.p[i - 1] == '\n')
		return false;
	if (!s->unstructured && (s->quoted || s->depth > 0))
		return false;
	while (is_wsp(w.p[i]))
		i++;
	return w.p[i] != '\r';
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
		if (i - s->start >= TEXT_LINE_MAX && s->last > 0) {
			folds_out[n++] = s->start = s->last;
			s->last = 0;
		}
		if (can_fold(s, i, value_at))
			s->last = i;
		track(s, c);
	}
	return n;
}

static bool is_unstructured(struct str name)
{
	return str_ieq(name, S("Subject")) || str_ieq(name, S("Comments")) || str_ieq(name, S("Content-Description"));
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

bool fold_field(struct arena *a, struct header_field *f)
{
	struct scan s = { .whole = f->whole, .unstructured = is_unstructured(f->name) };
	size_t value_at = (size_t)(f->value.p - f->whole.p);

	if (f->whole.n <= TEXT_LINE_MAX + 2)
		return false;
	/* Two pieces that follow one another are together longer than a line may be, or they would be one. */
	size_t *folds = ARENA_ARRAY(a, size_t, 2 * (f->whole.n / TEXT_LINE_MAX + 1));
	size_t n = find_folds(&s, value_at, folds);
	if (n == 0)
		return false;
	f->whole = insert_folds(a, f->whole, folds, n);
	f->name = str_head(f->whole, f->name.n);
	f->value = str_make(f->whole.p + value_at, f->value.n + 2 * n);
	return true;
}
