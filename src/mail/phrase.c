/* phrase.c - display names (RFC 5322 3.2.5, RFC 2047 5 (3)). */
#include "phrase.h"

#include "address.h"
#include "encoded.h"
#include "text.h"

#include "posthouse/utf8.h"

#define QUOTED_MAX 500 /* bytes: a quoted string cannot be folded */

/* ---- reading ---- */

struct cleaning {
	char *out;
	size_t used;
	bool space, mended;
};

static void clean_bytes(struct cleaning *c, struct str bytes)
{
	if (c->space && c->used > 0)
		c->out[c->used++] = ' ';
	c->space = false;
	memcpy(c->out + c->used, bytes.p, bytes.n);
	c->used += bytes.n;
}

/* A byte that is no UTF-8 is most likely a letter of ISO 8859-1. */
static void clean_latin1(struct cleaning *c, unsigned char byte)
{
	char utf8[2] = { (char)(0xc0 | byte >> 6), (char)(0x80 | (byte & 0x3f)) };

	clean_bytes(c, byte < 0xa0 ? S("\xef\xbf\xbd") : str_make(utf8, 2));
}

/* The text with its white space and control characters (those of U+0080 to U+009F too) as single spaces, none in front, and
 * without angle brackets; as UTF-8. */
static struct str clean(struct arena *a, struct str s, struct cleaning *c)
{
	uint32_t code;

	c->out = arena_alloc(a, 4 * s.n + 2);
	c->used = 0;
	for (size_t i = 0, n; i < s.n; i += n) {
		struct str rest = str_from(s, i);
		n = utf8_char(rest, &code);
		bool c1 = n == 2 && rest.p[0] == '\xc2' && (unsigned char)rest.p[1] < 0xa0;
		if (is_control(*rest.p) || *rest.p == ' ' || c1) {
			c->mended = c->mended || *rest.p != ' ';
			c->space = true;
		} else if (*rest.p == '<' || *rest.p == '>') {
			c->mended = true;
			clean_bytes(c, *rest.p == '<' ? S("\xe2\x80\xb9") : S("\xe2\x80\xba"));
		} else if (n == 0) {
			clean_latin1(c, (unsigned char)*rest.p);
		} else {
			clean_bytes(c, str_head(rest, n));
		}
		n = n > 0 ? n : 1;
	}
	return str_make(c->out, c->used);
}

/* Does it have visible characters? */
static bool is_empty(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		struct str rest = str_from(s, i);
		if (str_starts(rest, S("\xe2\x80\xb9")) || str_starts(rest, S("\xe2\x80\xba")))
			i += 2;
		else if (*rest.p != ' ' && *rest.p != '"' && *rest.p != '\'')
			return false;
	}
	return true;
}

/* ---- addresses within a name ---- */

/* The text with every "@", "." and space in its plain form. */
static struct str plain(struct arena *a, struct str s)
{
	static const struct {
		const char *form;
		char plain;
	} forms[] = {
		{ "\xef\xbc\xa0", '@' }, { "\xef\xb9\xab", '@' }, /* full-width and small @ */
		{ "\xef\xbc\x8e", '.' }, { "\xef\xb9\x92", '.' }, { "\xe3\x80\x82", '.' },
		{ "\xef\xbd\xa1", '.' }, { "\xe2\x80\xa4", '.' }, { "\xc2\xa0", ' ' },
		{ "\xe3\x80\x80", ' ' }, { "\xe2\x80\xb9", '<' }, { "\xe2\x80\xba", '>' }, /* what clean() has made of them */
	};
	char *out = arena_alloc(a, s.n + 1);
	size_t used = 0;

	for (size_t i = 0; i < s.n;) {
		size_t k = 0;
		while (k < sizeof forms / sizeof *forms && !str_starts(str_from(s, i), str_of(forms[k].form)))
			k++;
		bool other = k < sizeof forms / sizeof *forms;
		out[used++] = other ? forms[k].plain : s.p[i];
		i += other ? strlen(forms[k].form) : 1;
	}
	return str_make(out, used);
}

static bool is_domain_byte(char c)
{
	return is_8bit(c) || (is_atext(c) && strchr("!#$%&'*+/=?^`{|}~", c) == NULL) || c == '.';
}

/* The address around the "@" at `at`; "" where there is none: "John @ Company", "(@john)", and "name@department" in a script
 * without dots or ASCII letters, which is no domain. */
static struct str address_around(struct str s, size_t at)
{
	size_t from = at, to = at + 1;

	while (from > 0 && (is_atext(s.p[from - 1]) || s.p[from - 1] == '.'))
		from--;
	if (from == at && at > 1 && s.p[at - 1] == '"' && str_rfind(str_head(s, at - 1), '"') < at - 1)
		from = str_rfind(str_head(s, at - 1), '"');
	if (from == at && (at == 0 || strchr(" ([{<,;:/", s.p[at - 1]) != NULL))
		return S("");
	if (to < s.n && s.p[to] == '[') {
		to += str_find(str_from(s, to), ']');
		to += to < s.n;
	} else {
		while (to < s.n && is_domain_byte(s.p[to]))
			to++;
	}
	while (to > at + 1 && s.p[to - 1] == '.')
		to--;
	while (from < at && strchr("'`", s.p[from]) != NULL)
		from++;
	struct str domain = str_make(s.p + at + 1, to - at - 1);
	if (domain.n == 0 || (!str_is_ascii(domain) && str_find(domain, '.') == domain.n))
		return S("");
	return str_make(s.p + from, to - from);
}

void phrase_addresses(struct arena *a, const struct phrase *p, struct str_list *addresses)
{
	struct str s = plain(a, p->shown);
	size_t room = addresses->n;

	for (size_t i = 0; i < s.n; i++)
		room += s.p[i] == '@';
	struct str *at = ARENA_ARRAY(a, struct str, room + 1);
	for (size_t i = 0; i < addresses->n; i++)
		at[i] = addresses->at[i];
	addresses->at = at;
	for (size_t i = 0; i < s.n; i++) {
		struct str found = s.p[i] == '@' ? address_around(s, i) : S("");
		if (found.n > 0)
			addresses->at[addresses->n++] = found;
	}
}

/* Rewrite the addresses in a piece of text. */
static struct str rewrite_text(struct arena *a, const struct fixup_input *in, struct str s, bool *changed)
{
	struct str_list one;
	size_t done = 0;
	struct buf b;

	if (!in->rewrite)
		return s;
	buf_init(&b, HEADER_MAX);
	for (size_t i = 0; i < s.n; i++) {
		struct str was = s.p[i] == '@' ? address_around(s, i) : S("");
		if (was.n == 0 || was.p < s.p + done || !header_addresses(a, was, &one) || one.n != 1)
			continue;
		struct str is = in->rewrite(in->rewrite_ctx, a, true, one.at[0]);
		size_t at = (size_t)(was.p - s.p);
		if (str_eq(is, one.at[0]) || !buf_add(&b, str_make(s.p + done, at - done)) || !buf_add(&b, is))
			continue;
		done = at + was.n;
		*changed = true;
	}
	if (done > 0 && buf_add(&b, str_from(s, done)))
		s = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return s;
}

/* Faults that cannot be mended in a word of another charset, since such words are not translated. */
static bool is_faulty(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == '<' || text.p[i] == '>' || is_control(text.p[i]))
			return true;
	}
	return false;
}

/* Clean the pieces that were decoded, and check the others. */
static void read_words(struct arena *a, const struct fixup_input *in, struct phrase *p)
{
	size_t room = 0, used = 0;

	for (size_t i = 0; i < p->words.n; i++) {
		struct cleaning c = { 0 };
		struct word *w = &p->words.at[i];
		if (w->raw.n > 0 && is_faulty(w->text))
			p->fault = S("an encoded word has control characters or angle brackets");
		if (w->raw.n == 0) {
			w->text = rewrite_text(a, in, clean(a, w->text, &c), &p->mended);
			p->mended = p->mended || c.mended;
		}
		room += w->text.n + 1;
	}
	char *shown = arena_alloc(a, room + 1);
	for (size_t i = 0; i < p->words.n; i++) {
		memcpy(shown + used, p->words.at[i].text.p, p->words.at[i].text.n);
		used += p->words.at[i].text.n;
	}
	p->shown = str_make(shown, used);
}

void phrase_read(struct arena *a, const struct fixup_input *in, struct str text, struct phrase *out)
{
	*out = (struct phrase){ .shown = S("") };
	words_decode(a, text, &out->words);
	out->mended = out->words.nested;
	if (out->words.unknown.n > 0)
		out->fault = arena_printf(a, "the charset \"%.*s\" of an encoded word is not known here",
					  STR_ARG(text_clean_ascii(a, out->words.unknown, 40)));
	read_words(a, in, out);
	if (is_empty(out->shown))
		*out = (struct phrase){ .shown = S(""), .fault = out->fault };
}

/* ---- writing ---- */

/* Can it be written without quotes: words of letters and the like, and no encoded words? */
static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (!is_atext(s.p[i]) && s.p[i] != ' ')
			return false;
	}
	return s.n < QUOTED_MAX && str_is_ascii(s) && str_search(s, S("=?")) == s.n;
}

static bool can_be_quoted(struct str s)
{
	return s.n < QUOTED_MAX && str_is_ascii(s) && str_find(s, '"') == s.n && str_find(s, '\\') == s.n &&
	       str_search(s, S("=?")) == s.n;
}

/* One of several pieces: white space before and after it must be seen, also beside an encoded word. */
static bool write_piece(struct arena *a, const struct word *w, bool first, bool last, struct buf *b)
{
	if (w->raw.n > 0)
		return buf_add(b, w->raw);
	if (is_plain(w->text))
		return buf_add(b, w->text);
	if (can_be_quoted(w->text))
		return buf_printf(b, "\"%.*s\"", STR_ARG(w->text));
	struct str padded = arena_printf(a, "%s%.*s%s", first ? "" : " ", STR_ARG(w->text), last ? "" : " ");
	encoded_put_words(b, padded);
	return b->n < b->max;
}

struct str phrase_write(struct arena *a, const struct phrase *p)
{
	struct buf b;
	bool fits = true, any = false;

	buf_init(&b, 8 * HEADER_MAX); /* more than the field can become */
	for (size_t i = 0; i < p->words.n && fits; i++) {
		const struct word *w = &p->words.at[i];
		if (w->raw.n == 0 && w->text.n == 0)
			continue;
		fits = (!any || buf_add(&b, S("\r\n "))) && write_piece(a, w, !any, i + 1 == p->words.n, &b);
		any = true;
	}
	struct str written = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return written;
}
