/* text.c - the formats of texts in the configuration. */
#include "schema.h"

#include "posthouse/address.h"
#include "posthouse/date.h"
#include "posthouse/names.h"
#include "posthouse/policy.h"

#include <arpa/inet.h>
#include <ctype.h>

#define RESOLVERS_MAX 8

bool text_is_printable(struct str s)
{
	uint32_t c;
	size_t n;

	for (size_t i = 0; i < s.n; i += n) {
		n = utf8_char(str_from(s, i), &c);
		if (n == 0 || utf8_is_hidden(c))
			return false;
	}
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
	return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* RFC 1123 2.1: letters, digits and inner hyphens, 1 to 63 bytes; `extra` is also allowed in names that others choose. */
static bool label_valid(struct str label, char extra)
{
	if (label.n == 0 || label.n > 63 || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != extra)
			return false;
	return true;
}

/* The number of labels with dots between, 253 bytes at most; 0: the name is not valid. The last label is not all digits: that
 * would be an address. */
static unsigned count_labels(struct str name, char extra)
{
	struct str rest = name, label = { 0 };
	unsigned n = 0;
	bool digits_only = true;

	if (name.n == 0 || name.n > 253 || name.p[name.n - 1] == '.')
		return 0;
	while (str_split(&rest, '.', &label)) {
		if (!label_valid(label, extra))
			return 0;
		n++;
	}
	for (size_t i = 0; i < label.n; i++)
		digits_only = digits_only && is_digit(label.p[i]);
	return digits_only ? 0 : n;
}

bool host_name_valid(struct str s)
{
	return count_labels(s, '-') >= 2;
}

static bool domain_valid(struct str s)
{
	return count_labels(s, '-') >= 1;
}

/* An IPv4 or IPv6 address without brackets. */
static bool address_literal_valid(struct str s)
{
	char text[INET6_ADDRSTRLEN + 1] = "";
	unsigned char bytes[16];

	if (s.n >= sizeof(text) || memchr(s.p, 0, s.n))
		return false;
	memcpy(text, s.p, s.n);
	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* Containers are often named with underscores. */
static bool host_valid(struct str s)
{
	return count_labels(s, '_') >= 1 || address_literal_valid(s);
}

static bool address_valid(struct str s)
{
	return str_eq(s, S("*")) || address_literal_valid(s);
}

/* RFC 5321 4.1.2 Dot-string with dots anywhere, and with UTF-8 (RFC 6531): that is also how quoted local parts are kept out. */
static bool local_part_valid(struct str s)
{
	static const char also[] = "!#$%&'*+-/=?^_`{|}~.";

	if (s.n == 0 || s.n > 64 || !text_is_printable(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && !((unsigned char)s.p[i] & 0x80) && !strchr(also, s.p[i]))
			return false;
	return true;
}

static bool mailbox_valid(struct str s)
{
	size_t at = str_rfind(s, '@');

	return at < s.n && local_part_valid(str_head(s, at)) && domain_valid(str_from(s, at + 1));
}

/* `a@b`, `@b`, `@.b`, `root@.lan`, `*` */
static bool pattern_valid(struct str pattern)
{
	size_t at = str_rfind(pattern, '@');
	struct str domain;

	if (str_eq(pattern, S("*")))
		return true;
	if (at == pattern.n)
		return false;
	domain = str_from(pattern, at + 1);
	if (domain.n > 0 && domain.p[0] == '.')
		domain = str_from(domain, 1);
	if (count_labels(domain, '_') < 1)
		return false;
	/* A '*' matches a whole local part. Within a local part it is a mistake: the pattern would silently match nothing. */
	return at == 0 || str_eq(str_head(pattern, at), S("*")) ||
	       (local_part_valid(str_head(pattern, at)) && str_find(pattern, '*') == pattern.n);
}

static bool destination_valid(struct str pattern)
{
	return pattern_valid(pattern) && (str_eq(pattern, S("*")) || str_starts(pattern, S("@")));
}

static bool sender_pattern_valid(struct str pattern)
{
	return str_eq(pattern, S(NULL_SENDER)) || pattern_valid(pattern);
}

/* '/' names a device and belongs to no entry of the configuration; ':' ends a name in the account file. */
static bool login_valid(struct str s)
{
	if (s.n == 0 || s.n > 255 || !text_is_printable(s))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ' ' || s.p[i] == '/' || s.p[i] == ':' || s.p[i] == '*')
			return false;
	return true;
}

static bool any_login_valid(struct str s)
{
	return str_eq(s, S("*")) || login_valid(s);
}

static bool name_valid(struct str s)
{
	if (s.n == 0 || s.n > 64 || !(is_alnum(s.p[0]) || s.p[0] == '_'))
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '.')
			return false;
	return true;
}

struct via via_read(struct str entry)
{
	size_t colon = str_find(entry, ':');
	struct via via = { .name = str_head(entry, colon) };

	if (colon < entry.n && !str_to_u64(str_from(entry, colon + 1), &via.weight))
		via.weight = 0;
	return via;
}

/* "ses", "ses:3" */
static bool via_valid(struct str s)
{
	struct via via = via_read(s);

	return name_valid(via.name) && (via.name.n == s.n || (via.weight >= 1 && via.weight <= 1000));
}

/* A login, or one of its device passwords: "alice", "alice@example.org/phone". */
static bool device_login_valid(struct str s)
{
	size_t slash = str_find(s, '/');

	struct str device = str_from(s, slash + 1);

	return login_valid(str_head(s, slash)) &&
	       (slash == s.n || (login_valid(device) && device.n <= 64 && !str_eq(device, S("-"))));
}

/* The address that replaces another one. */
static bool rewritten_valid(struct str s)
{
	return mailbox_valid(s) || (s.n > 1 && s.p[0] == '@' && domain_valid(str_from(s, 1)));
}

/* RFC 6376 3.1: labels with dots between; they can be all digits. */
bool selector_valid(struct str s)
{
	struct str rest = s, label;

	if (s.n == 0 || s.n > 200 || s.p[s.n - 1] == '.')
		return false;
	while (str_split(&rest, '.', &label))
		if (!label_valid(label, '_'))
			return false;
	return true;
}

/* The users of a route: a login, or a pattern of logins that are addresses. */
static bool user_valid(struct str s)
{
	if (str_find(s, '@') < s.n || str_eq(s, S("*")))
		return pattern_valid(s) && str_find(s, '/') == s.n;
	return login_valid(s);
}

/* An address that a connection can come from: not "any", not multicast or broadcast, not an IPv4 address in IPv6 form. */
static bool source_valid(struct str s)
{
	char text[INET6_ADDRSTRLEN + 1] = "";
	struct in6_addr v6;
	struct in_addr v4;

	if (!address_literal_valid(s))
		return false;
	memcpy(text, s.p, s.n);
	if (inet_pton(AF_INET, text, &v4) == 1)
		return v4.s_addr != INADDR_ANY && ntohl(v4.s_addr) < 0xe0000000; /* RFC 5771: from 224.0.0.0 on multicast */
	return inet_pton(AF_INET6, text, &v6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_MULTICAST(&v6) &&
	       !IN6_IS_ADDR_V4MAPPED(&v6);
}

bool endpoint_read(struct str s, struct str *address_out, unsigned *port_out)
{
	size_t colon = str_rfind(s, ':');
	struct str address = str_head(s, colon);
	bool v6 = address.n > 2 && address.p[0] == '[' && address.p[address.n - 1] == ']';
	uint64_t port;

	if (v6)
		address = str_make(address.p + 1, address.n - 2);
	if (colon == s.n || !str_to_u64(str_from(s, colon + 1), &port) || port == 0 || port > 65535 || !address_valid(address) ||
	    v6 != (str_find(address, ':') < address.n))
		return false;
	*address_out = address;
	*port_out = (unsigned)port;
	return true;
}

static bool endpoint_valid(struct str s)
{
	struct str address;
	unsigned port;

	return endpoint_read(s, &address, &port);
}

/* "ADDRESS[@PORT]", as libunbound writes it. */
static bool name_server_valid(struct str s)
{
	size_t at = str_find(s, '@');
	uint64_t port = 53;

	return address_literal_valid(str_head(s, at)) &&
	       (at == s.n || (str_to_u64(str_from(s, at + 1), &port) && port > 0 && port <= 65535));
}

bool resolver_valid(struct str s)
{
	struct str rest = s, word;
	unsigned n = 0;

	if (str_eq(s, S("recursive")))
		return true;
	while (str_split(&rest, ' ', &word))
		if (++n > RESOLVERS_MAX || !name_server_valid(word))
			return false;
	return n > 0;
}

static bool network_valid(struct str s)
{
	size_t slash = str_find(s, '/');
	struct str address = str_head(s, slash);
	uint64_t bits = 0;

	if (!address_literal_valid(address))
		return false;
	return slash == s.n || (str_to_u64(str_from(s, slash + 1), &bits) &&
				bits <= (str_find(address, ':') < address.n ? 128 : 32) && !network_names_host(s));
}

static bool path_valid(struct str s)
{
	return s.n > 0 && s.n < 4096 && text_is_printable(s);
}

/* Host and path only in characters that need no quoting (RFC 3986): the URL goes to others as it is. */
static bool https_valid(struct str s)
{
	if (!str_istarts(s, S("https://")) || s.n < 9 || s.n > 1000 || s.p[8] == '/')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || strchr("\"<>\\^`{|}#@", s.p[i]))
			return false;
	return true;
}

/* A user of this machine: useradd(8) takes no others. */
static bool local_user_valid(struct str s)
{
	return str_eq(s, S("*")) || (s.n <= 64 && name_valid(s));
}

/* sun_path holds 108 bytes with the NUL: unix(7). */
static bool socket_valid(struct str s)
{
	return s.n > 0 && s.n < 108 && text_is_printable(s);
}

/* The digits of a SHA-256 in lower case, without the colons that other programs print between them. "": it is none. */
static struct str fingerprint_digits(struct arena *a, struct str s)
{
	char *digits = ARENA_ARRAY(a, char, s.n + 1);
	size_t n = 0;

	if (str_starts(s, S("sha256:")))
		s = str_from(s, 7);
	for (size_t i = 0; i < s.n; i++)
		if (isxdigit((unsigned char)s.p[i]))
			digits[n++] = (char)tolower((unsigned char)s.p[i]);
		else if (s.p[i] != ':' || n % 2 != 0)
			return S("");
	return n == 64 ? str_make(digits, n) : S("");
}

static bool fingerprint_valid(struct str s)
{
	struct arena a = { 0 };
	bool valid = fingerprint_digits(&a, s).n > 0;

	arena_fini(&a);
	return valid;
}

static struct str fingerprint_canonical(struct arena *a, struct str s)
{
	return arena_printf(a, "sha256:%.*s", STR_ARG(fingerprint_digits(a, s)));
}

/* RFC 3339 in UTC without fractions. */
static bool time_valid(struct str s)
{
	uint64_t ms;

	return s.n == 0 || date_parse(s, &ms);
}

const struct text_format
	format_fqdn = { "a full host name such as \"relay.example.org\"", host_name_valid, domain_canonical },
	format_domain = { "a domain name", domain_valid, domain_canonical },
	format_host = { "a host name or an IP address", host_valid, domain_canonical },
	format_address = { "an IPv4 or IPv6 address or \"*\"", address_valid },
	format_mailbox = { "a mail address", mailbox_valid, address_with_canonical_domain },
	format_pattern = { "a pattern: \"a@b\", \"@b\", \"@.b\", \"a@.b\" or \"*\"", pattern_valid,
			   address_with_canonical_domain },
	format_destination = { "a domain: \"@b\", those below it: \"@.b\", or all: \"*\"", destination_valid,
			       address_with_canonical_domain },
	format_sender_pattern = { "a pattern: \"a@b\", \"@b\", \"@.b\", \"a@.b\", \"*\" or \"<>\"", sender_pattern_valid,
				  address_with_canonical_domain },
	format_any_login = { "a login (no spaces, '/' or ':'), or \"*\"", any_login_valid },
	format_login = { "a login (no spaces, '/', ':' or '*')", login_valid },
	format_device_login = { "a login (no spaces, ':' or '*'), or one with a device, \"alice/phone\"", device_login_valid },
	format_rewritten = { "a mail address, or \"@domain\"", rewritten_valid, address_with_canonical_domain },
	format_user = { "a login (no spaces, '/', ':' or '*') or a pattern: \"a@b\", \"@b\", \"@.b\", \"a@.b\" or \"*\"",
			user_valid, address_with_canonical_domain },
	format_source = { "an IPv4 or IPv6 address of this machine", source_valid },
	format_resolver = { "\"recursive\", or addresses with spaces between such as \"192.0.2.53 127.0.0.1@5353\"",
			    resolver_valid },
	format_name = { "a name of letters, digits, '-', '_' and '.'", name_valid },
	format_local_user = { "the name of a user of this machine, its number, or \"*\"", local_user_valid },
	format_via = { "a name of letters, digits, '-', '_' and '.', perhaps with a weight from 1 to 1000: \"isp:3\"",
		       via_valid },
	format_selector = { "a selector (letters, digits, '-', '_', dots between)", selector_valid },
	format_network = { "an address, or a network such as \"192.0.2.0/24\" with no bits set behind its /24", network_valid },
	format_https = { "a URL that begins with https://", https_valid },
	format_path = { "the path of a file or directory", path_valid },
	format_socket = { "a path of at most 107 bytes", socket_valid },
	format_endpoint = { "an address and a port such as \"127.0.0.1:9587\", \"[::1]:9587\" or \"*:9587\"", endpoint_valid },
	format_fingerprint = { "\"sha256:\" and 64 hexadecimal digits, perhaps with colons between", fingerprint_valid,
			       fingerprint_canonical },
	format_instant = { "a time such as \"2027-03-02T14:02:11Z\"", time_valid };
