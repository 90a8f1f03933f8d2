/* check_generic.c - does a reverse name look like that of a home line? */
#include "run.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>

/* The next run of digits of the name from *at on; false: there is none. */
static bool next_number(struct str name, size_t *at, unsigned *number_out)
{
	size_t n = 0;

	while (*at < name.n && !isdigit((unsigned char)name.p[*at]))
		++*at;
	for (*number_out = 0; *at < name.n && isdigit((unsigned char)name.p[*at]); n++, ++*at)
		if (n < 6)
			*number_out = *number_out * 10 + (unsigned)(name.p[*at] - '0');
	return n > 0;
}

/* Two neighbours of the address, in either order, next to each other in the name. Two small numbers are in many names. */
static bool has_octets(struct str name, const unsigned char octets[4])
{
	unsigned before = 256, number;

	for (size_t at = 0; next_number(name, &at, &number); before = number)
		for (unsigned i = 0; i < 3; i++)
			if ((octets[i] > 9 || octets[i + 1] > 9) && ((before == octets[i] && number == octets[i + 1]) ||
								     (before == octets[i + 1] && number == octets[i])))
				return true;
	return false;
}

static bool contains(struct str name, const char *text)
{
	return str_search(name, str_of(text)) < name.n;
}

static bool has_v4(struct str name, const unsigned char *o)
{
	char hex[9], reversed[9], digits[13];

	snprintf(hex, sizeof hex, "%02x%02x%02x%02x", o[0], o[1], o[2], o[3]);
	snprintf(reversed, sizeof reversed, "%02x%02x%02x%02x", o[3], o[2], o[1], o[0]);
	snprintf(digits, sizeof digits, "%03u%03u%03u%03u", o[0], o[1], o[2], o[3]);
	return has_octets(name, o) || contains(name, hex) || contains(name, reversed) || contains(name, digits);
}

/* Two neighbouring groups of an IPv6 address, as "db8-1", "0db8.0001" or "0db80001". Groups of zero say nothing. */
static bool has_v6(struct str name, const unsigned char *b)
{
	for (unsigned i = 0; i < 14; i += 2) {
		unsigned one = (unsigned)b[i] << 8 | b[i + 1], other = (unsigned)b[i + 2] << 8 | b[i + 3];
		char texts[4][12];

		if (one == 0 || other < 16)
			continue;
		snprintf(texts[0], sizeof *texts, "%x-%x", one, other);
		snprintf(texts[1], sizeof *texts, "%04x-%04x", one, other);
		snprintf(texts[2], sizeof *texts, "%04x.%04x", one, other);
		snprintf(texts[3], sizeof *texts, "%04x%04x", one, other);
		for (unsigned t = 0; t < 4; t++)
			if (contains(name, texts[t]))
				return true;
	}
	return false;
}

static bool has_address(struct doctor *d, struct str name, struct str address)
{
	unsigned char bytes[16];
	const char *z = arena_cstr(&d->arena, address);

	if (inet_pton(AF_INET, z, bytes) == 1)
		return has_v4(name, bytes);
	return inet_pton(AF_INET6, z, bytes) == 1 && has_v6(name, bytes);
}

/* A part of a label that lines for homes have: "dyn", also "dyn12"; "": none. */
static struct str word_in(struct str name)
{
	static const char *const words[] = { "dyn",  "dynamic", "dhcp",   "pool", "dsl",  "ppp",
					     "dial", "cable",   "client", "cust", "home", "res" };
	size_t at = 0;

	while (at < name.n) {
		size_t end = at, letters;

		while (end < name.n && name.p[end] != '.' && name.p[end] != '-')
			end++;
		for (letters = end; letters > at && isdigit((unsigned char)name.p[letters - 1]);)
			letters--;
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			if (str_eq(str_make(name.p + at, letters - at), str_of(words[i])))
				return str_of(words[i]);
		at = end + 1;
	}
	return S("");
}

static void judge(struct doctor *d, struct str address, struct str name)
{
	struct doctor_finding f = {
		.result = DOCTOR_WARNING, .subject = address, .found = name, .expected = d->config->hostname
	};
	struct str word = str_eq(name, d->config->hostname) ? S("") : word_in(name);

	if (has_address(d, name, address))
		f.text = arena_printf(&d->arena, "has the reverse name %.*s, made of its numbers", STR_ARG(name));
	else if (word.n > 0)
		f.text = arena_printf(&d->arena, "has the reverse name %.*s, with \"%.*s\" in it", STR_ARG(name), STR_ARG(word));
	else
		return;
	f.remedy.text = arena_printf(&d->arena,
				     "Ask the owner of the address (your host's panel, \"reverse DNS\") for a name of your own\n"
				     "    %.*s -> %.*s",
				     STR_ARG(address), STR_ARG(d->config->hostname));
	finding_add(d, &f);
}

void check_ptr_generic(struct doctor *d)
{
	for (size_t i = 0; i < d->situation.addresses_n; i++) {
		struct str address = d->situation.addresses[i].text;
		const struct fact_dns *names;
		size_t before;

		if (result_of(d, CHECK_PTR_EXISTS, S(""), address) != DOCTOR_OK) {
			finding_skip(d, S(""), address, S("ptr.exists"));
			continue;
		}
		before = d->findings_n;
		names = facts_dns(d, VIEW_WORLD, reverse_name(&d->arena, address, S("in-addr.arpa"), S("ip6.arpa")), DNS_PTR);
		for (size_t j = 0; j < names->n && d->findings_n == before; j++)
			judge(d, address, names->records[j].text);
		if (d->findings_n == before && names->state == FACT_THERE)
			finding_ok(d, S(""), address, S("has a name of its own"));
	}
}
