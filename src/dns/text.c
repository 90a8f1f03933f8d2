/* text.c - what a record says, as text, and names for reverse look-ups. */
#include "posthouse/dns.h"

#include <arpa/inet.h>
#include <stdio.h>

static struct str address_text(struct arena *a, struct str data)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (data.n == 4 || data.n == 16)
		inet_ntop(data.n == 4 ? AF_INET : AF_INET6, data.p, text, sizeof text);
	return arena_str(a, str_of(text));
}

/* RFC 1035 3.3.14: strings with a length octet each; joined without anything between them (RFC 7208 3.3). */
static struct str join(struct arena *a, struct str data)
{
	char *to = arena_alloc(a, data.n + 1);
	size_t n = 0;

	while (data.n > 0) {
		struct str part = str_head(str_from(data, 1), (unsigned char)data.p[0]);

		memcpy(to + n, part.p, part.n);
		n += part.n;
		data = str_from(data, part.n + 1);
	}
	return str_make(to, n);
}

struct str dns_text(struct arena *a, const struct dns_record *r)
{
	if (r->type == DNS_TXT)
		return join(a, r->data);
	return r->type == DNS_A || r->type == DNS_AAAA ? address_text(a, r->data) : arena_str(a, r->name);
}

struct str reverse_name(struct arena *a, struct str address, struct str below_v4, struct str below_v6)
{
	const char *text = arena_cstr(a, address);
	struct in_addr v4;
	struct in6_addr v6;
	char nibbles[65]; /* the last one is written with room for a point */

	if (inet_pton(AF_INET, text, &v4) == 1) {
		const unsigned char *b = (const void *)&v4;

		return arena_printf(a, "%u.%u.%u.%u.%.*s", b[3], b[2], b[1], b[0], STR_ARG(below_v4));
	}
	if (inet_pton(AF_INET6, text, &v6) != 1)
		return S("");
	for (int i = 0; i < 32; i++) {
		unsigned byte = v6.s6_addr[15 - i / 2];

		snprintf(nibbles + 2 * i, 3, "%x%s", i % 2 ? byte >> 4 : byte & 15, i < 31 ? "." : "");
	}
	return arena_printf(a, "%s.%.*s", nibbles, STR_ARG(below_v6));
}
