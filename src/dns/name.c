/* name.c - the forms of domains and address literals, and whether they name this relay. */
#include "internal.h"

#include "posthouse/names.h"

#include <arpa/inet.h>

#define NAME_MAX_TEXT  253 /* RFC 1035 2.3.4: 255 octets on the wire */
#define LABEL_MAX_TEXT 63

static bool is_label(struct str label)
{
	for (size_t i = 0; i < label.n; i++) {
		char c = ascii_lower(label.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
	}
	return label.n > 0 && label.n <= LABEL_MAX_TEXT;
}

bool name_is_host(struct str name)
{
	struct sockaddr_storage address;
	struct str rest = name, label;

	if (name.n == 0 || name.n > NAME_MAX_TEXT || name.p[name.n - 1] == '.' || parse_address(name, &address))
		return false;
	while (str_split(&rest, '.', &label))
		if (!is_label(label))
			return false;
	return true;
}

bool name_to_ascii(struct arena *a, struct str domain, struct str *name_out)
{
	if (!domain_to_ascii(a, domain, name_out))
		return false;
	if (str_ends(*name_out, S(".")))
		name_out->n--;
	return name_is_host(*name_out);
}

bool parse_address(struct str text, struct sockaddr_storage *address_out)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)address_out;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)address_out;
	char z[INET6_ADDRSTRLEN];
	bool named;

	if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = str_make(text.p + 1, text.n - 2);
	named = str_istarts(text, S("IPv6:")); /* RFC 5321 4.1.3 */
	if (named)
		text = str_from(text, sizeof("IPv6:") - 1);
	memset(address_out, 0, sizeof(*address_out));
	if (text.n >= sizeof(z) || memchr(text.p, 0, text.n))
		return false;
	memcpy(z, text.p, text.n);
	z[text.n] = 0;
	if (!named && inet_pton(AF_INET, z, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, z, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		return true;
	}
	return false;
}

bool is_own_name(const struct str_list *own, struct str name)
{
	for (size_t i = 0; i < own->n; i++)
		if (str_ieq(own->at[i], name))
			return true;
	return false;
}

bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr)) == 0;
}

bool is_own_address(const struct str_list *own, const struct sockaddr_storage *address)
{
	struct sockaddr_storage mine;

	for (size_t i = 0; i < own->n; i++)
		if (parse_address(own->at[i], &mine) && same_address(&mine, address))
			return true;
	return false;
}
