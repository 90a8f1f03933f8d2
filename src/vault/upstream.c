/* upstream.c - see upstream.h. */
#include "upstream.h"

struct verdict upstream_find(const struct config *c, struct str name, const struct cfg_upstream **upstream_out)
{
	*upstream_out = NULL;
	for (size_t i = 0; i < c->upstreams_n; i++) {
		if (!str_eq(c->upstreams[i].name, name))
			continue;
		if (c->upstreams[i].login.n == 0)
			return temp(454, S("4.7.0"), S("no login is configured for this upstream"));
		*upstream_out = &c->upstreams[i];
		return ok();
	}
	return temp(454, S("4.7.0"), S("no such upstream is configured"));
}
