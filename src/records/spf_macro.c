/* spf_macro.c - domain-specs and their macros (RFC 7208 7). */
#include "spf.h"

#include <ctype.h>

#define LETTERS    "slodiphcrtv"
#define DELIMITERS ".-+,/_="

bool spf_name_valid(struct str name)
{
	struct str rest = name, label;
	size_t labels = 0;

	if (name.n == 0 || name.n > 253)
		return false;
	while (str_split(&rest, '.', &label)) {
		if (label.n == 0 || label.n > 63)
			return false;
		labels++;
	}
	return labels >= 2 && name.p[name.n - 1] != '.';
}

/* A macro at the beginning of `s`, which begins with '%'. Returns its length; 0: it is none. */
static size_t macro_length(struct str s)
{
	size_t i = 3, digits;

	if (s.n >= 2 && (s.p[1] == '%' || s.p[1] == '_' || s.p[1] == '-'))
		return 2;
	if (s.n < 4 || s.p[1] != '{' || !strchr(LETTERS, ascii_lower(s.p[2])) || s.p[2] == 0)
		return 0;
	for (digits = i; i < s.n && isdigit((unsigned char)s.p[i]); i++)
		;
	if (i > digits) {
		uint64_t count;

		if (!str_to_u64(str_make(s.p + digits, i - digits), &count) || count == 0)
			return 0;
	}
	if (i < s.n && ascii_lower(s.p[i]) == 'r')
		i++;
	while (i < s.n && s.p[i] && strchr(DELIMITERS, s.p[i]))
		i++;
	return i < s.n && s.p[i] == '}' ? i + 1 : 0;
}

static bool top_label_valid(struct str label)
{
	bool letter = false;

	for (size_t i = 0; i < label.n; i++) {
		unsigned char c = (unsigned char)label.p[i];

		if (!isalnum(c) && c != '-')
			return false;
		letter = letter || !isdigit(c);
	}
	return letter && label.n <= 63 && label.p[0] != '-' && label.p[label.n - 1] != '-';
}

/* `tail` is what is behind the last macro of the spec. */
static bool end_valid(struct arena *a, struct str spec, struct str tail, bool macros, struct str *why_out)
{
	struct str name = str_ends(tail, S(".")) ? str_head(tail, tail.n - 1) : tail;
	size_t dot = str_rfind(name, '.');

	if (macros && tail.n == 0)
		return true;
	*why_out = arena_printf(a, "\"%.*s\" is not a full name", STR_ARG(spec));
	if (dot == name.n || !top_label_valid(str_from(name, dot + 1)))
		return false;
	if (macros)
		return true;
	return spf_name_valid(str_head(spec, name.n));
}

bool spf_spec_valid(struct arena *a, struct str spec, bool with_end, bool *macros_out, struct str *why_out)
{
	size_t tail = 0;

	*macros_out = false;
	for (size_t i = 0; i < spec.n; i++) {
		size_t n;

		if (spec.p[i] < 0x21 || spec.p[i] > 0x7e) {
			*why_out = S("it has a character that is not allowed");
			return false;
		}
		if (spec.p[i] != '%')
			continue;
		n = macro_length(str_from(spec, i));
		if (n == 0 || (with_end && n > 2 && strchr("crt", ascii_lower(spec.p[i + 2])))) {
			*why_out = arena_printf(a, "\"%.*s\" has a macro that is not allowed here", STR_ARG(spec));
			return false;
		}
		*macros_out = true;
		i += n - 1;
		tail = i + 1;
	}
	return !with_end || end_valid(a, spec, str_from(spec, tail), *macros_out, why_out);
}

bool spf_uses_p(struct str spec)
{
	for (size_t i = 0; i + 2 < spec.n; i++)
		if (spec.p[i] == '%' && spec.p[i + 1] == '{' && ascii_lower(spec.p[i + 2]) == 'p')
			return true;
	return false;
}

/* IPv6 as 32 nibbles with dots (RFC 7208 7.3). */
static struct str nibbles(struct arena *a, const struct spf_values *v)
{
	char *text = arena_alloc(a, 64);

	for (size_t i = 0; i < 32; i++) {
		text[2 * i] = "0123456789abcdef"[(v->bytes[i / 2] >> (i % 2 ? 0 : 4)) & 15];
		text[2 * i + 1] = '.';
	}
	return str_make(text, 63);
}

static struct str letter_value(struct arena *a, char letter, const struct spf_values *v)
{
	switch (letter) {
	case 's': return v->sender;
	case 'l': return v->local;
	case 'o': return v->sender_domain;
	case 'd': return v->domain;
	case 'i': return v->ipv6 ? nibbles(a, v) : v->address;
	case 'p': return v->validated;
	case 'v': return v->ipv6 ? S("ip6") : S("in-addr");
	case 'h': return v->helo;
	default: return S("");
	}
}

/* The parts between delimiters, reversed if asked for, the last `keep` of them (0: all), with dots between. */
static struct str transform(struct arena *a, struct str value, struct str delimiters, bool reverse, uint64_t keep)
{
	struct str *parts = ARENA_ARRAY(a, struct str, value.n + 1), text = S("");
	size_t n = 0, from = 0, first;

	if (value.n == 0)
		return text;
	for (size_t i = 0; i <= value.n; i++)
		if (i == value.n || str_find(delimiters, value.p[i]) < delimiters.n) {
			parts[n++] = str_make(value.p + from, i - from);
			from = i + 1;
		}
	first = keep > 0 && keep < n ? n - (size_t)keep : 0;
	for (size_t i = first; i < n; i++) {
		struct str part = parts[reverse ? n - 1 - i : i];

		text = arena_printf(a, "%.*s%s%.*s", STR_ARG(text), i > first ? "." : "", STR_ARG(part));
	}
	return text;
}

/* Everything but the unreserved characters of RFC 3986 as %XX. */
static struct str escape(struct arena *a, struct str value)
{
	char *text = arena_alloc(a, 3 * value.n + 1);
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		if (isalnum(c) || strchr("-._~", c)) {
			text[n++] = (char)c;
		} else {
			text[n++] = '%';
			text[n++] = "0123456789ABCDEF"[c >> 4];
			text[n++] = "0123456789ABCDEF"[c & 15];
		}
	}
	return str_make(text, n);
}

static struct str macro_value(struct arena *a, struct str macro, const struct spf_values *v)
{
	struct str inner = str_make(macro.p + 3, macro.n - 4), value = letter_value(a, ascii_lower(macro.p[2]), v);
	size_t digits = 0;
	uint64_t keep = 0;
	bool reverse;

	while (digits < inner.n && isdigit((unsigned char)inner.p[digits]))
		digits++;
	str_to_u64(str_head(inner, digits), &keep);
	inner = str_from(inner, digits);
	reverse = inner.n > 0 && ascii_lower(inner.p[0]) == 'r';
	inner = str_from(inner, reverse);
	value = transform(a, value, inner.n > 0 ? inner : S("."), reverse, keep);
	return macro.p[2] >= 'A' && macro.p[2] <= 'Z' ? escape(a, value) : value;
}

struct str spf_expand(struct arena *a, struct str spec, const struct spf_values *v)
{
	struct str text = S("");

	for (size_t i = 0; i < spec.n;) {
		struct str rest = str_from(spec, i), part;
		size_t n = 1;

		if (rest.p[0] != '%') {
			n = str_find(rest, '%');
			part = str_head(rest, n);
		} else {
			n = macro_length(rest);
			if (n == 2)
				part = rest.p[1] == '%' ? S("%") : rest.p[1] == '_' ? S(" ") : S("%20");
			else
				part = macro_value(a, str_head(rest, n), v);
		}
		text = arena_printf(a, "%.*s%.*s", STR_ARG(text), STR_ARG(part));
		i += n;
	}
	if (str_ends(text, S(".")))
		text.n--;
	while (text.n > 253 && str_find(text, '.') < text.n)
		text = str_from(text, str_find(text, '.') + 1);
	return text;
}
