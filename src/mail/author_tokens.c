/* author_tokens.c - divides a From field into tokens; author.c decides their meaning. */
#include "author_tokens.h"

#include "text.h"
#include "words.h"

struct scan {
	struct arena *arena;
	struct str s;
	size_t at;
	bool local_too;
};

static bool is_space(char c)
{
	return c == ' ' || is_control(c);
}

/* How long a quoted string or comment is, with its delimiters; 0 when it has no end. Comments can be nested. */
static size_t delimited_length(struct str s, char close, bool *nested_out)
{
	size_t depth = 0;

	*nested_out = false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == close && i > 0 && (close == '"' || --depth == 0))
			return i + 1;
		else if (s.p[i] == '(' && close == ')')
			*nested_out = ++depth > 1 || *nested_out;
	}
	return 0;
}

/* A quoted string or a comment; 0 when there is none. */
static size_t take_delimited(struct scan *p, char close, struct token *t)
{
	bool nested;
	struct str rest = str_from(p->s, p->at);
	size_t n = delimited_length(rest, close, &nested), used = 0;

	if (n == 0)
		return 0;
	struct str inner = str_make(rest.p + 1, n - 2);
	char *out = arena_alloc(p->arena, inner.n + 1);
	t->clear = !nested;
	for (size_t i = 0; i < inner.n; i++) {
		char c = inner.p[i];
		t->clear = t->clear && (close == '"' || strchr("\\<>@,;:\"[]", c) == NULL);
		if (c == '\\' && i + 1 < inner.n)
			c = inner.p[++i];
		out[used++] = c;
	}
	t->text = str_make(out, used);
	if (str_search(t->text, S("=?")) < used)
		t->clear = t->clear && word_length(t->text, true) == used;
	return n;
}

/* In "<@a.example,@b.example:c@d" what is before the colon (RFC 5322 4.4: to be ignored). */
static struct str without_route(struct str s)
{
	size_t colon = str_starts(s, S("@")) ? str_find(s, ':') : s.n;

	return colon < s.n ? str_from(s, colon + 1) : s;
}

/* The address in angle brackets; 0 when there is none. The closing one can be missing at the end. */
static size_t take_angle(struct scan *p, struct token *t)
{
	struct str rest = str_from(p->s, p->at), inner = str_from(rest, 1);
	size_t open = str_find(inner, '<'), close = str_find(inner, '>'), n;

	if (angle_take(p->arena, rest, p->local_too, &t->mailbox, &n)) {
		t->text = str_head(rest, n);
		t->clear = t->mailbox.spec.n + 2 == n && str_eq(t->mailbox.address, t->mailbox.spec);
		return n;
	}
	t->mailbox = (struct mailbox){ 0 };
	if (open < close)
		return 0;
	inner = str_head(inner, close);
	struct str spec = str_trim(without_route(str_trim(inner)));
	t->clear = false;
	t->text = inner;
	if (spec.n > 0 && (!addr_spec_take(p->arena, spec, p->local_too, &t->mailbox, &n) || n != spec.n)) {
		t->mailbox = (struct mailbox){ 0 };
		return 0;
	}
	return inner.n + 2 < rest.n ? inner.n + 2 : rest.n;
}

/* An address by itself; 0 when there is none, or more behind it. */
static size_t take_address(struct scan *p, struct token *t)
{
	struct str rest = str_from(p->s, p->at);
	size_t n;

	if (!addr_spec_take(p->arena, rest, p->local_too && *rest.p != '"', &t->mailbox, &n) ||
	    (n < rest.n && !is_space(rest.p[n]) && strchr(",;(<", rest.p[n]) == NULL)) {
		t->mailbox = (struct mailbox){ 0 };
		return 0;
	}
	t->text = str_head(rest, n);
	t->type = t->mailbox.has_domain ? TOKEN_ADDRESS : TOKEN_TEXT;
	t->clear = str_eq(t->mailbox.address, t->text) && *rest.p != '.';
	return n;
}

/* A word of other text, an encoded word as a whole. */
static size_t take_text(struct scan *p, struct token *t)
{
	struct str rest = str_from(p->s, p->at);
	size_t n = word_length(rest, false);

	t->type = TOKEN_TEXT;
	if (n > 0) {
		t->clear = word_length(rest, true) == n && (n == rest.n || is_space(rest.p[n]) || rest.p[n] == '<');
	} else {
		t->clear = *rest.p != '.';
		do {
			t->clear = t->clear && (is_atext(rest.p[n]) || rest.p[n] == '.');
			n++;
		} while (n < rest.n && !is_space(rest.p[n]) && strchr("\"(),;<", rest.p[n]) == NULL &&
			 !str_starts(str_from(rest, n), S("=?")));
		t->clear = t->clear && !str_starts(rest, S("=?")) && !str_starts(str_from(rest, n), S("=?"));
	}
	t->text = str_head(rest, n);
	return n;
}

static size_t take_token(struct scan *p, struct token *t)
{
	char c = p->s.p[p->at];
	size_t n = 0;

	if (c == ',' || c == ';') {
		*t = (struct token){ .type = TOKEN_SEPARATOR, .text = str_make(p->s.p + p->at, 1), .clear = c == ',' };
		return 1;
	}
	if (c == '(' && (n = take_delimited(p, ')', t)) > 0)
		t->type = TOKEN_COMMENT;
	else if (c == '<' && (n = take_angle(p, t)) > 0)
		t->type = TOKEN_ANGLE;
	else if ((n = take_address(p, t)) == 0 && c == '"' && (n = take_delimited(p, '"', t)) > 0)
		t->type = TOKEN_QUOTED;
	return n > 0 ? n : take_text(p, t);
}

struct token *author_tokens(struct arena *a, struct str value, bool local_too, size_t *n_out)
{
	struct token *tokens = ARENA_ARRAY(a, struct token, value.n + 1);
	struct scan p = { .arena = a, .s = value, .local_too = local_too };
	bool spaced = false;
	size_t n = 0;

	while (p.at < value.n) {
		/* Doubled brackets have no other meaning. */
		struct str rest = str_from(value, p.at);
		bool doubled = str_starts(rest, S("<<")) || (p.at > 0 && *rest.p == '>' && rest.p[-1] == '>');
		if (is_space(*rest.p) || doubled) {
			spaced = true;
			p.at++;
			continue;
		}
		tokens[n] = (struct token){ .spaced = spaced };
		p.at += take_token(&p, &tokens[n]);
		n++;
		spaced = false;
	}
	*n_out = n;
	return tokens;
}
