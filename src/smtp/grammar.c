/* grammar.c - addresses and paths (RFC 5321 4.1.2 and 4.1.3; RFC 6531 section 3.3 for UTF-8). */
#include "grammar.h"

#include "posthouse/address.h"
#include "posthouse/utf8.h"

#include <arpa/inet.h>

#define LABEL_MAX 63

static bool is_alnum(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

size_t smtp_word_length(struct str text)
{
	size_t n = 0;

	while (n < text.n && text.p[n] != ' ' && text.p[n] != '\t')
		n++;
	return n;
}

bool smtp_next_word(struct str *rest, struct str *word_out)
{
	*rest = str_trim(*rest);
	*word_out = str_head(*rest, smtp_word_length(*rest));
	*rest = str_from(*rest, word_out->n);
	return word_out->n > 0;
}

/* RFC 5321 4.1.2: Quoted-string, with its quotes. */
static bool quoted_valid(struct str s, bool utf8)
{
	if (s.n < 2 || s.p[0] != '"' || s.p[s.n - 1] != '"')
		return false;
	for (size_t i = 1; i + 1 < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '"' || c < 0x20 || c == 0x7f || (c > 0x7f && !utf8))
			return false;
		if (c != '\\')
			continue;
		c = (unsigned char)s.p[++i];
		if (i + 1 >= s.n || c < 0x20 || c > 0x7e)
			return false;
	}
	return true;
}

/* RFC 5321 4.1.2: Dot-string or Quoted-string. Its limit of 64 octets is not enforced: longer ones are in use (VERP, SRS), and
 * 4.5.3.1 asks servers to avoid limits. Dots are allowed anywhere: a Japanese provider gave out addresses such as "a..b" and
 * "a.", without quotes. */
static bool local_valid(struct str s, bool utf8)
{
	if (s.n == 0)
		return false;
	if (s.p[0] == '"')
		return quoted_valid(s, utf8);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c != '.' && !char_is_atext((char)c) && !(c > 0x7f && utf8))
			return false;
	}
	return true;
}

/* Four decimal numbers of 0 to 255. */
static bool ipv4_valid(struct str s)
{
	struct str part;
	uint64_t value;
	unsigned parts = 0;

	if (s.n == 0 || s.p[s.n - 1] == '.')
		return false;
	while (str_split(&s, '.', &part)) {
		if (part.n > 3 || !str_to_u64(part, &value) || value > 255)
			return false;
		parts++;
	}
	return parts == 4;
}

/* RFC 4291 2.2: groups of hexadecimal digits, one "::", perhaps an IPv4 address at the end. */
static bool ipv6_valid(struct str s)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr address;

	if (s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET6, text, &address) == 1;
}

/* RFC 5321 4.1.3: [192.0.2.1] or [IPv6:2001:db8::1]. */
static bool literal_valid(struct str s)
{
	struct str inside = str_make(s.p + 1, s.n - 2);

	if (str_istarts(inside, S("IPv6:")))
		return ipv6_valid(str_from(inside, 5));
	return ipv4_valid(inside);
}

/* RFC 5321 4.1.2: Domain or address literal. Host names have no underscore, but some domains in use do,
 * and it is harmless. */
static bool domain_valid(struct str s, bool utf8)
{
	size_t label = 0;

	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		return literal_valid(s);
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool first = label == 0, last = i + 1 == s.n || s.p[i + 1] == '.';

		if (c == '.') {
			if (first)
				return false;
			label = 0;
			continue;
		}
		if (c == '-' ? first || last : !is_alnum(c) && c != '_' && !(c > 0x7f && utf8))
			return false;
		label += (c & 0xc0) != 0x80; /* UTF-8 is counted in characters: only A-labels have a limit of octets */
		if (label > LABEL_MAX)
			return false;
	}
	return label > 0;
}

bool smtp_address_valid(struct str address, bool utf8)
{
	if (address.n > ADDRESS_MAX || (utf8 && !utf8_valid(address)))
		return false;
	return local_valid(address_local(address), utf8) && domain_valid(address_domain(address), utf8);
}

bool smtp_parse_keyword(struct str argument, struct str keyword, struct str *rest_out)
{
	struct str rest;

	if (!str_istarts(argument, keyword))
		return false;
	rest = str_trim(str_from(argument, keyword.n)); /* "FROM :<a@b>" */
	if (rest.n == 0 || rest.p[0] != ':')
		return false;
	*rest_out = str_trim(str_from(rest, 1));
	return true;
}

/* The length of the path at the front: to the closing bracket, or the next white space, outside of a quoted string. s.n + 1:
 * the bracket or a quote is not closed. */
static size_t path_length(struct str s, bool bracket)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (quoted && s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && (bracket ? s.p[i] == '>' : s.p[i] == ' ' || s.p[i] == '\t'))
			return i;
	}
	return bracket || quoted ? s.n + 1 : s.n;
}

/* RFC 5321 4.1.2: A-d-l ":" before the mailbox "MUST BE accepted, SHOULD NOT be generated, and SHOULD be ignored". */
static struct str without_route(struct str path)
{
	size_t colon = str_find(path, ':');

	return path.n > 0 && path.p[0] == '@' && colon < path.n ? str_from(path, colon + 1) : path;
}

bool smtp_parse_path(struct str argument, struct str *address_out, struct str *rest_out)
{
	bool bracket = argument.n > 0 && argument.p[0] == '<';
	struct str s = bracket ? str_from(argument, 1) : argument;
	size_t n = path_length(s, bracket);

	if (s.n == 0 || n > s.n)
		return false;
	*address_out = without_route(bracket ? str_trim(str_head(s, n)) : str_head(s, n));
	*rest_out = str_from(s, bracket ? n + 1 : n);
	return rest_out->n == 0 || rest_out->p[0] == ' ' || rest_out->p[0] == '\t';
}

bool smtp_atom_valid(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (!char_is_atext(text.p[i]))
			return false;
	return text.n > 0;
}

bool smtp_xtext_valid(struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (c < 0x21 || c > 0x7e || c == '=')
			return false;
		if (c != '+')
			continue;
		for (unsigned k = 0; k < 2; k++)
			if (++i >= text.n || strchr("0123456789ABCDEF", text.p[i]) == NULL || text.p[i] == '\0')
				return false;
	}
	return true;
}
