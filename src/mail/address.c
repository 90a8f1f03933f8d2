/* address.c - address lists (RFC 5322 3.4, with the parts of 4.4 that leave no doubt).
 *
 * What is found in From decides whether a login can send a message, so the parser takes only what every reader must
 * understand alike. Stricter than the grammar: an addr-spec is contiguous (no comment or fold within), a local part holds
 * nothing that looks like another address or an encoded word, a domain is made of letters, digits, "-", "_" and UTF-8, or is
 * a literal; no route, since readers without it see its first address; and what lookalike.c says. Looser, since clients do it
 * and it cannot be misread: "a@b <a@b>", dots and brackets in a display name, 8-bit bytes in it. All iterative: no nesting
 * costs stack. */
#include "address.h"

#include "text.h"

#include "posthouse/utf8.h"

#define ADDRESS_MAX 320 /* RFC 5321 4.5.3.1: 64 + 1 + 255 */

struct parser {
	struct arena *arena;
	struct str s;
	size_t at;
	size_t words_end; /* of the last display name */
	bool local_too;   /* a mailbox can be without domain */
	bool in_group;
	bool anything; /* a mailbox or a group was seen */
	mailbox_fn on_mailbox;
	void *ctx;
};

/* The byte at the position; NUL at the end (a NUL within the text is refused everywhere). */
static char peek(const struct parser *p)
{
	return p->at < p->s.n ? p->s.p[p->at] : '\0';
}

/* Pass the byte `c` if it is next. */
static bool take(struct parser *p, char c)
{
	if (p->at >= p->s.n || p->s.p[p->at] != c)
		return false;
	p->at++;
	return true;
}

/* Pass a fold or one byte of text within a comment or quoted string; false for a byte that is not allowed there. */
static bool take_text(struct parser *p)
{
	struct str rest = str_from(p->s, p->at);

	if (str_starts(rest, S("\r\n"))) {
		p->at += 2;
		return is_wsp(peek(p));
	}
	take(p, '\\');
	if (p->at >= p->s.n || (is_control(peek(p)) && !is_wsp(peek(p))))
		return false;
	p->at++;
	return true;
}

static bool take_comment(struct parser *p)
{
	size_t depth = 0, start = p->at;

	do {
		if (take(p, '('))
			depth++;
		else if (take(p, ')'))
			depth--;
		else if (!take_text(p))
			return false;
	} while (depth > 0);
	return !comment_is_lookalike(str_make(p->s.p + start, p->at - start));
}

/* White space, folds and comments, if any; false for a broken one. */
static bool skip_cfws(struct parser *p)
{
	for (;;) {
		if (peek(p) == '(') {
			if (!take_comment(p))
				return false;
		} else if (peek(p) == '\r') {
			if (!take_text(p))
				return false;
		} else if (!take(p, ' ') && !take(p, '\t')) {
			return true;
		}
	}
}

static bool skip_quoted(struct parser *p)
{
	if (!take(p, '"'))
		return false;
	while (!take(p, '"')) {
		if (!take_text(p))
			return false;
	}
	return true;
}

/* Pass atoms and dots, with dots in any place: some providers have given out "a..b" and "a." (RFC 5322 3.2.3 has them
 * between atoms only). False when there is no atom. */
static bool skip_dot_atom(struct parser *p)
{
	bool any = false;

	for (; is_atext(peek(p)) || peek(p) == '.'; p->at++)
		any = any || peek(p) != '.';
	return any;
}

/* The content of a quoted local part, when it is harmless: atext, dots and spaces. RFC 5322 allows any byte, but they are not in
 * use. */
static bool take_quoted_local(struct parser *p, struct str *local_out)
{
	size_t room = str_find(str_from(p->s, p->at + 1), '"'), used = 0;
	bool plain = true, any = false;

	if (room > ADDRESS_MAX)
		return false;
	char *out = arena_alloc(p->arena, room + 1);
	for (p->at++; !take(p, '"'); p->at++) {
		take(p, '\\');
		char c = peek(p);
		if (!is_atext(c) && c != '.' && c != ' ')
			return false;
		plain = plain && c != ' ';
		any = any || (c != ' ' && c != '.');
		out[used++] = c;
	}
	if (used == 0)
		return false;
	/* One form for one mailbox: the quotes stay only where they are needed. */
	*local_out = str_make(out, used);
	if (!plain || !any)
		*local_out = arena_printf(p->arena, "\"%.*s\"", STR_ARG(*local_out));
	return true;
}

static bool take_local(struct parser *p, struct str *local_out)
{
	size_t start = p->at;

	if (peek(p) == '"') {
		if (!take_quoted_local(p, local_out))
			return false;
	} else {
		if (!skip_dot_atom(p))
			return false;
		*local_out = str_make(p->s.p + start, p->at - start);
	}
	/* A reader that decodes encoded words first would see another address. */
	return str_search(*local_out, S("=?")) == local_out->n;
}

static bool is_domain_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || is_8bit(c);
}

/* "[192.0.2.1]", "[IPv6:…]": RFC 5321 4.1.3 has letters, digits, dots, colons and hyphens there. */
static bool take_literal(struct parser *p)
{
	size_t start = ++p->at;

	while (is_domain_char(peek(p)) || peek(p) == '.' || peek(p) == ':')
		p->at++;
	return p->at > start && take(p, ']');
}

/* A dot at the end, as DNS has it, is passed and does not belong to the domain. */
static bool take_domain(struct parser *p, struct str *domain_out)
{
	size_t start = p->at, end;

	if (peek(p) == '[') {
		if (!take_literal(p))
			return false;
		end = p->at;
	} else {
		if (!is_domain_char(peek(p)))
			return false;
		do {
			while (is_domain_char(peek(p)))
				p->at++;
			end = p->at;
		} while (take(p, '.') && is_domain_char(peek(p)));
		if (is_atext(peek(p)) || peek(p) == '.')
			return false;
	}
	*domain_out = str_make(p->s.p + start, end - start);
	return true;
}

/* local@domain without anything between; with `local_will_do` the domain can be missing. */
static bool take_addr_spec(struct parser *p, bool local_will_do, struct mailbox *m)
{
	size_t start = p->at;
	struct str local, domain = { 0 };

	if (!take_local(p, &local))
		return false;
	m->has_domain = take(p, '@');
	if (m->has_domain ? !take_domain(p, &domain) : !local_will_do)
		return false;
	m->spec = str_make(p->s.p + start, p->at - start);
	m->address = str_head(m->spec, m->spec.n - (m->has_domain && str_ends(m->spec, S("."))));
	if (*m->spec.p == '"')
		m->address = m->has_domain ? arena_printf(p->arena, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain)) : local;
	if (m->address.n > ADDRESS_MAX)
		return false;
	return str_is_ascii(m->address) || (utf8_valid(m->address) && !utf8_is_deceptive(m->address));
}

bool addr_spec_take(struct arena *a, struct str s, bool local_will_do, struct mailbox *m, size_t *n_out)
{
	struct parser p = { .arena = a, .s = s };
	bool good = take_addr_spec(&p, local_will_do, m);

	*n_out = p.at;
	return good;
}

/* "<address>" with white space or comments at the ends. */
static bool take_angle(struct parser *p, struct mailbox *m)
{
	return take(p, '<') && skip_cfws(p) && take_addr_spec(p, p->local_too, m) && skip_cfws(p) && take(p, '>');
}

bool angle_take(struct arena *a, struct str s, bool local_will_do, struct mailbox *m, size_t *n_out)
{
	struct parser p = { .arena = a, .s = s, .local_too = local_will_do };
	bool good = take_angle(&p, m);

	*n_out = p.at;
	return good;
}

/* A display name: words, encoded words among them, dots and brackets. False when there is not one. */
static bool skip_phrase(struct parser *p)
{
	bool any = false;

	for (;;) {
		char c = peek(p);
		if (is_atext(c) || c == '.' || c == '[' || c == ']')
			p->at++;
		else if (c != '"')
			return any;
		else if (!skip_quoted(p))
			return false;
		any = true;
		p->words_end = p->at;
		if (!skip_cfws(p))
			return false;
	}
}

static void found(struct parser *p, const struct mailbox *m)
{
	p->anything = true;
	p->on_mailbox(p->ctx, m);
}

/* A mailbox that begins with an address: there is nothing else, or the address is its own display name ("a@b <a@b>"). */
static bool take_bare_mailbox(struct parser *p, struct mailbox *m)
{
	struct mailbox angle = { .twin = m->spec };

	if (!skip_cfws(p))
		return false;
	if (peek(p) != '<') {
		found(p, m);
		return true;
	}
	if (!take_angle(p, &angle) || !str_ieq(angle.address, m->address))
		return false;
	found(p, &angle);
	return true;
}

/* A single word in the place of an address: "root", "root (Cron Daemon)". */
static bool take_lone_local(struct parser *p, struct mailbox *m)
{
	if (!p->local_too || peek(p) == '"' || !take_addr_spec(p, true, m) || m->has_domain || !skip_cfws(p))
		return false;
	if (p->at < p->s.n && peek(p) != ',' && peek(p) != ';')
		return false;
	found(p, m);
	return true;
}

/* A mailbox, or the beginning of a group ("name:"), which cannot be within another group. */
static bool take_mailbox(struct parser *p)
{
	struct mailbox m = { 0 };
	size_t start = p->at;

	if (peek(p) != '<') {
		if (take_addr_spec(p, false, &m))
			return take_bare_mailbox(p, &m);
		p->at = start;
		if (take_lone_local(p, &m))
			return true;
		p->at = start;
		if (!skip_phrase(p))
			return false;
		m.name = str_make(p->s.p + start, p->words_end - start);
		if (words_are_lookalike(p->arena, m.name))
			return false;
	}
	if (p->at > start && !p->in_group && take(p, ':')) {
		p->in_group = p->anything = true;
		return true;
	}
	if (!take_angle(p, &m))
		return false;
	found(p, &m);
	return true;
}

/* One element with the separator behind it; RFC 5322 4.4: elements can be empty. */
static bool take_element(struct parser *p)
{
	bool was_in_group = p->in_group;

	if (!skip_cfws(p))
		return false;
	if (p->at < p->s.n && peek(p) != ',' && peek(p) != ';') {
		if (!take_mailbox(p) || !skip_cfws(p))
			return false;
		if (p->in_group && !was_in_group)
			return true;
	}
	if (p->in_group && take(p, ';')) {
		p->in_group = false;
		if (!skip_cfws(p))
			return false;
	}
	return p->at == p->s.n || take(p, ',');
}

bool mailboxes_walk(struct arena *a, struct str value, bool local_too, mailbox_fn on_mailbox, void *ctx)
{
	struct parser p = { .arena = a, .s = value, .local_too = local_too, .on_mailbox = on_mailbox, .ctx = ctx };

	while (p.at < p.s.n) {
		if (!take_element(&p))
			return false;
	}
	return !p.in_group && p.anything;
}

static void add_address(void *ctx, const struct mailbox *m)
{
	struct str_list *list = ctx;

	list->at[list->n++] = m->address;
}

/* The largest number of addresses that the text can have: each but the first is behind a separator, or its angle bracket. */
static size_t count_addresses(struct str s)
{
	size_t n = 1;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == ',' || s.p[i] == ';' || s.p[i] == ':' || s.p[i] == '<';
	return n;
}

static bool list_addresses(struct arena *a, struct str value, bool local_too, struct str_list *addresses_out)
{
	struct str_list found = { ARENA_ARRAY(a, struct str, count_addresses(value)), 0 };
	bool good = mailboxes_walk(a, value, local_too, add_address, &found);

	*addresses_out = good ? found : (struct str_list){ NULL, 0 };
	return good;
}

bool header_addresses(struct arena *a, struct str value, struct str_list *addresses_out)
{
	return list_addresses(a, value, false, addresses_out);
}

bool header_recipients(struct arena *a, struct str value, struct str_list *addresses_out)
{
	return list_addresses(a, value, true, addresses_out);
}
