/* names.c - which names are ours. */
#include "run.h"

#include <ctype.h>

/* Is it the name, or below it? */
static bool is_below(struct str name, struct str top)
{
	return str_ends(name, top) && (name.n == top.n || name.p[name.n - top.n - 1] == '.');
}

bool name_is_ours(const struct doctor *d, struct str name)
{
	const struct situation *s = &d->situation;
	struct arena a = { 0 };
	bool is = is_below(name, d->config->hostname);

	for (size_t i = 0; !is && i < s->domains_n; i++)
		is = !s->domains[i].foreign && is_below(name, s->domains[i].name);
	for (size_t i = 0; !is && i < s->addresses_n; i++)
		is = str_eq(name, reverse_name(&a, s->addresses[i].text, S("in-addr.arpa"), S("ip6.arpa")));
	arena_fini(&a);
	return is;
}

struct str name_form_fault(struct str name)
{
	static const char *const private[] = { ".local",    ".lan",         ".home", ".home.arpa",
					       ".internal", ".localdomain", ".corp", ".intranet" };

	if (str_eq(name, S("localhost")) || str_ends(name, S(".localhost")) || str_eq(name, S("localhost.localdomain")))
		return S("means every machine itself");
	if (str_find(name, '.') == name.n)
		return S("has no domain");
	for (size_t i = 0; i < sizeof private / sizeof *private; i++)
		if (str_ends(name, str_of(private[i])))
			return S("is a name of private networks only");
	if (str_find(name, '_') < name.n)
		return S("has a \"_\", which no host name has (RFC 952)");
	return S("");
}

static bool is_label_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_';
}

#define KEYED ".dq.spamhaus.net"

struct str text_without_key(struct arena *a, struct str text)
{
	size_t end = str_search(text, S(KEYED)), list = end, key;

	if (end == text.n)
		return text;
	while (list > 0 && is_label_char(text.p[list - 1]))
		list--;
	key = list > 0 && text.p[list - 1] == '.' ? list - 1 : list;
	while (key > 0 && key < list && is_label_char(text.p[key - 1]))
		key--;
	if (key + 1 < list)
		return arena_printf(a, "%.*sKEY.%.*s%.*s", STR_ARG(str_head(text, key)),
				    STR_ARG(str_make(text.p + list, end + sizeof KEYED - 1 - list)),
				    STR_ARG(text_without_key(a, str_from(text, end + sizeof KEYED - 1))));
	return text;
}
