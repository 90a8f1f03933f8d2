/* drop_head.c - the lines in front of the message in a drop file: written and read, without I/O. */
#include "posthouse/local.h"

#include <assert.h>
#include <stdlib.h>

/* A byte that ends a line, or that no address and no parameter has. UTF-8 passes (RFC 6531). */
static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (is_control(s.p[i]))
			return false;
	return true;
}

/* Where the address ends: the first '>' that is not within quotes (RFC 5321 4.1.2, Quoted-string); s.n: there is none. */
static size_t address_end(struct str s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (s.p[i] == '>' && !quoted)
			return i;
	}
	return s.n;
}

static bool path_is_valid(struct str address, struct str parameters)
{
	return is_plain(address) && is_plain(parameters) && address_end(address) == address.n;
}

bool local_message_valid(const struct local_message *m)
{
	if (m->recipients_n == 0 || !path_is_valid(m->sender, m->parameters) || (!m->has_sender && m->parameters.n > 0))
		return false;
	for (size_t i = 0; i < m->recipients_n; i++)
		if (m->recipients[i].address.n == 0 || !path_is_valid(m->recipients[i].address, m->recipients[i].parameters))
			return false;
	return true;
}

static void write_line(struct buf *b, const char *name, struct str address, struct str parameters)
{
	buf_printf(b, "%s: <%.*s>%s%.*s\n", name, STR_ARG(address), parameters.n > 0 ? " " : "", STR_ARG(parameters));
}

void drop_head_write(struct buf *b, const struct local_message *m)
{
	assert(local_message_valid(m));
	if (m->has_sender)
		write_line(b, "from", m->sender, m->parameters);
	for (size_t i = 0; i < m->recipients_n; i++)
		write_line(b, "to", m->recipients[i].address, m->recipients[i].parameters);
	buf_add_char(b, '\n');
}

/* ---- reading ---- */

static struct verdict fault(struct arena *a, unsigned line, const char *what)
{
	return perm(554, S("5.6.0"), arena_printf(a, "line %u of the file: %s", line, what));
}

/* "<ADDRESS> PARAMETERS". */
static bool read_path(struct str s, struct str *address_out, struct str *parameters_out)
{
	size_t end;

	if (!str_starts(s, S("<")) || !is_plain(s))
		return false;
	s = str_from(s, 1);
	end = address_end(s);
	if (end == s.n)
		return false;
	*address_out = str_head(s, end);
	s = str_from(s, end + 1);
	*parameters_out = str_from(s, 1);
	return s.n == 0 || (s.n > 1 && s.p[0] == ' ' && s.p[1] != ' ');
}

/* One line of the head. NULL, or what is wrong with it. */
static const char *read_line(struct arena *a, struct str line, struct local_message *m, size_t *capacity)
{
	struct local_recipient r = { 0 };

	if (str_starts(line, S("from: "))) {
		if (m->has_sender)
			return "a second sender";
		m->has_sender = true;
		return read_path(str_from(line, 6), &m->sender, &m->parameters) ? NULL : "expected from: <ADDRESS> PARAMETERS";
	}
	if (!str_starts(line, S("to: ")))
		return "expected from:, to: or an empty line";
	if (!read_path(str_from(line, 4), &r.address, &r.parameters) || r.address.n == 0)
		return "expected to: <ADDRESS> PARAMETERS";
	ARENA_GROW(a, m->recipients, m->recipients_n, *capacity);
	m->recipients[m->recipients_n++] = r;
	return NULL;
}

struct verdict drop_head_read(struct arena *a, struct str bytes, struct local_message *m_out, size_t *length_out)
{
	size_t capacity = 0, at = 0;

	*m_out = (struct local_message){ 0 };
	for (unsigned n = 1;; n++) {
		struct str rest = str_from(bytes, at);
		size_t end = str_find(rest, '\n');
		const char *wrong;

		if (end == rest.n)
			return fault(a, n, "the empty line in front of the message is missing");
		at += end + 1;
		if (end == 0) {
			*length_out = at;
			return m_out->recipients_n > 0 ? ok() : fault(a, n, "no recipient");
		}
		wrong = read_line(a, str_head(rest, end), m_out, &capacity);
		if (wrong)
			return fault(a, n, wrong);
	}
}
