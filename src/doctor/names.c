/* names.c - which names are ours. */
#include "run.h"

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
