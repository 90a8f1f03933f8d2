/* proxy.c - the PROXY protocol (haproxy.org, "The PROXY protocol, versions 1 & 2"): the address of the client that a proxy
 * forwards. Strict, because an inexact header can come from a client that pretends to be a proxy. */
#include "posthouse/net.h"

#include <arpa/inet.h>

#define V1_MAX 107 /* section 2.1, with CRLF */

/* Section 2.2. */
static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_HEADER 16
enum { V2_LOCAL = 0, V2_PROXY = 1 };
enum { V2_UNSPEC = 0, V2_INET = 1, V2_INET6 = 2, V2_UNIX = 3 };
enum { V2_ANY = 0, V2_STREAM = 1, V2_DGRAM = 2 };

/* Is one of the two the beginning of the other? */
static bool agrees(struct str bytes, struct str whole)
{
	return bytes.n < whole.n ? str_starts(whole, bytes) : str_starts(bytes, whole);
}

/* Address and port in network order. IPv4 and IPv6 addresses have their port in the same place. */
static enum proxy_result set_client(struct sockaddr_storage *client_out, int family, const void *address, const void *port)
{
	memset(client_out, 0, sizeof *client_out);
	client_out->ss_family = (sa_family_t)family;
	if (family == AF_INET)
		memcpy(&((struct sockaddr_in *)client_out)->sin_addr, address, sizeof(struct in_addr));
	else
		memcpy(&((struct sockaddr_in6 *)client_out)->sin6_addr, address, sizeof(struct in6_addr));
	memcpy(&((struct sockaddr_in *)client_out)->sin_port, port, sizeof(in_port_t));
	return PROXY_ADDRESS;
}

/* ---- version 1: a line of text ---- */

/* Decimal, without sign and leading zeros. */
static bool read_port(struct str text, in_port_t *port_out)
{
	uint64_t value;

	if (text.n == 0 || text.n > 5 || (text.n > 1 && text.p[0] == '0') || !str_to_u64(text, &value) || value > 65535)
		return false;
	*port_out = htons((uint16_t)value);
	return true;
}

/* An address of the family, as the system reads it (IPv4: four numbers without leading zeros). */
static bool read_address(int family, struct str text, void *address_out)
{
	char z[INET6_ADDRSTRLEN];

	if (text.n == 0 || text.n >= sizeof z || memchr(text.p, 0, text.n))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = '\0';
	return inet_pton(family, z, address_out) == 1;
}

/* "SOURCE DESTINATION PORT PORT", with exactly one space between. */
static enum proxy_result read_v1_addresses(int family, struct str rest, struct sockaddr_storage *client_out)
{
	struct str part[4];
	struct in6_addr source, destination;
	in_port_t port, other_port;

	for (size_t i = 0; i < 4; i++) {
		size_t end = i < 3 ? str_find(rest, ' ') : rest.n;

		part[i] = str_head(rest, end);
		rest = str_from(rest, end + 1);
	}
	if (!read_address(family, part[0], &source) || !read_address(family, part[1], &destination) ||
	    !read_port(part[2], &port) || !read_port(part[3], &other_port))
		return PROXY_BAD;
	return set_client(client_out, family, &source, &port);
}

static enum proxy_result parse_v1(struct str bytes, size_t *n_out, struct sockaddr_storage *client_out)
{
	struct str line = str_head(bytes, V1_MAX);
	size_t end = str_find(line, '\r');

	if (end + 1 >= line.n)
		return line.n < V1_MAX ? PROXY_MORE : PROXY_BAD;
	if (line.p[end + 1] != '\n')
		return PROXY_BAD;
	*n_out = end + 2;
	line = str_head(line, end);
	/* the rest of an UNKNOWN line is ignored */
	if (str_eq(line, S("PROXY UNKNOWN")) || str_starts(line, S("PROXY UNKNOWN ")))
		return PROXY_LOCAL;
	if (str_starts(line, S("PROXY TCP4 ")))
		return read_v1_addresses(AF_INET, str_from(line, 11), client_out);
	if (str_starts(line, S("PROXY TCP6 ")))
		return read_v1_addresses(AF_INET6, str_from(line, 11), client_out);
	return PROXY_BAD;
}

/* ---- version 2: binary ---- */

/* The addresses. TLVs after them are ignored. */
static enum proxy_result read_v2_addresses(unsigned family, unsigned transport, struct str body,
					   struct sockaddr_storage *client_out)
{
	if (family > V2_UNIX || transport > V2_DGRAM)
		return PROXY_BAD;
	if (family == V2_UNSPEC || transport == V2_ANY)
		return PROXY_LOCAL;
	if (family == V2_UNIX)
		return body.n < 216 ? PROXY_BAD : PROXY_LOCAL;
	if (transport != V2_STREAM || body.n < (family == V2_INET ? 12 : 36))
		return PROXY_BAD;
	return family == V2_INET ? set_client(client_out, AF_INET, body.p, body.p + 8)
				 : set_client(client_out, AF_INET6, body.p, body.p + 32);
}

static enum proxy_result parse_v2(struct str bytes, size_t *n_out, struct sockaddr_storage *client_out)
{
	unsigned char head[V2_HEADER];
	size_t length;

	memcpy(head, bytes.p, bytes.n < V2_HEADER ? bytes.n : V2_HEADER);
	if (bytes.n > 12 && (head[12] >> 4 != 2 || (head[12] & 15) > V2_PROXY))
		return PROXY_BAD;
	if (bytes.n < V2_HEADER)
		return PROXY_MORE;
	length = (size_t)(head[14] << 8 | head[15]);
	if (V2_HEADER + length > PROXY_HEADER_MAX)
		return PROXY_BAD;
	if (bytes.n < V2_HEADER + length)
		return PROXY_MORE;
	*n_out = V2_HEADER + length;
	if ((head[12] & 15) == V2_LOCAL)
		return PROXY_LOCAL;
	return read_v2_addresses(head[13] >> 4, head[13] & 15, str_make(bytes.p + V2_HEADER, length), client_out);
}

enum proxy_result proxy_parse(struct str bytes, size_t *n_out, struct sockaddr_storage *client_out)
{
	enum proxy_result result = PROXY_BAD;

	*n_out = 0;
	if (bytes.n == 0)
		return PROXY_MORE;
	if (agrees(bytes, S("PROXY ")))
		result = parse_v1(bytes, n_out, client_out);
	else if (agrees(bytes, str_make(v2_signature, sizeof v2_signature)))
		result = parse_v2(bytes, n_out, client_out);
	if (result == PROXY_BAD)
		*n_out = 0;
	return result;
}
