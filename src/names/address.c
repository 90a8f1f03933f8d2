/* address.c - mail addresses in their canonical form. */
#include "posthouse/address.h"
#include "posthouse/buf.h"
#include "posthouse/names.h"

bool char_is_atext(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

struct str xtext_decode(struct arena *a, struct str s)
{
	char *out = arena_alloc(a, s.n + 1);
	size_t used = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '+' && i + 2 < s.n && hex_value(s.p[i + 1]) >= 0 && hex_value(s.p[i + 2]) >= 0) {
			out[used++] = (char)(hex_value(s.p[i + 1]) * 16 + hex_value(s.p[i + 2]));
			i += 2;
		} else {
			out[used++] = s.p[i];
		}
	}
	return str_make(out, used);
}

struct str xtext_encode(struct arena *a, struct str s)
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = arena_alloc(a, 3 * s.n + 1);
	size_t used = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c > ' ' && c < 0x7f && c != '+' && c != '=') {
			out[used++] = (char)c;
			continue;
		}
		out[used++] = '+';
		out[used++] = digits[c >> 4];
		out[used++] = digits[c & 15];
	}
	return str_make(out, used);
}

struct str address_with_canonical_domain(struct arena *a, struct str address)
{
	size_t at = str_rfind(address, '@');
	struct str head = str_head(address, at + 1), domain = str_from(address, at + 1);
	size_t below = domain.n > 1 && domain.p[0] == '.'; /* a pattern's */
	char *whole;

	if (at == address.n)
		return address;
	domain = domain_canonical(a, str_from(domain, below));
	whole = arena_alloc(a, head.n + below + domain.n); /* not by printf: it would end the domain at a NUL */
	memcpy(whole, head.p, head.n);
	memcpy(whole + head.n, ".", below);
	memcpy(whole + head.n + below, domain.p, domain.n);
	return str_make(whole, head.n + below + domain.n);
}

/* Atoms with single dots between (RFC 5322 3.2.3), UTF-8 among them (RFC 6532 3.2). */
static bool is_dot_atom(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '.' ? i == 0 || i + 1 == s.n || s.p[i - 1] == '.' : !char_is_atext(c) && (unsigned char)c < 0x80)
			return false;
	}
	return s.n > 0;
}

static void add_local(struct buf *b, struct str local)
{
	struct str inside;
	struct buf plain;

	if (local.n < 2 || local.p[0] != '"') {
		buf_add(b, local);
		return;
	}
	buf_init(&plain, local.n);
	inside = str_make(local.p + 1, local.n - 2);
	for (size_t i = 0; i < inside.n; i++) {
		i += inside.p[i] == '\\' && i + 1 < inside.n;
		buf_add_char(&plain, inside.p[i]);
	}
	inside = buf_view(&plain);
	if (is_dot_atom(inside)) {
		buf_add(b, inside);
	} else {
		buf_add_char(b, '"');
		for (size_t i = 0; i < inside.n; i++)
			buf_printf(b, "%s%c", inside.p[i] == '"' || inside.p[i] == '\\' ? "\\" : "", inside.p[i]);
		buf_add_char(b, '"');
	}
	buf_fini(&plain);
}

struct str address_canonical(struct arena *a, struct str address)
{
	size_t at = str_rfind(address, '@');
	struct buf b;
	struct str whole;

	buf_init(&b, 2 * address.n + 16);
	add_local(&b, str_head(address, at));
	buf_add(&b, str_from(address, at));
	whole = address_with_canonical_domain(a, arena_str(a, buf_view(&b)));
	buf_fini(&b);
	return whole;
}

struct str address_bare_local(struct str local)
{
	struct str inside;

	if (local.n < 3 || local.p[0] != '"' || local.p[local.n - 1] != '"')
		return local;
	inside = str_make(local.p + 1, local.n - 2);
	for (size_t i = 0; i < inside.n; i++)
		if (inside.p[i] != '.' && !char_is_atext(inside.p[i]) && (unsigned char)inside.p[i] < 0x80)
			return local;
	return inside;
}

bool address_same(struct str one, struct str other)
{
	size_t at_one = str_rfind(one, '@'), at_other = str_rfind(other, '@');

	return str_eq(str_from(one, at_one), str_from(other, at_other)) &&
	       str_eq(address_bare_local(str_head(one, at_one)), address_bare_local(str_head(other, at_other)));
}
