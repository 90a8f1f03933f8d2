/* upstream.c - see upstream.h. */
#include "upstream.h"

#include <stdlib.h>

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

/* RFC 4616: no authorization id, NUL, login, NUL, password. */
static void plain(const struct cfg_upstream *u, struct secret *response_out)
{
	size_t n = 1 + u->login.n + 1 + u->password.n;
	char *p = xcalloc(n, 1);

	memcpy(p + 1, u->login.p, u->login.n);
	memcpy(p + 1 + u->login.n + 1, u->password.p, u->password.n);
	secret_set(response_out, str_make(p, n));
	wipe(p, n);
	free(p);
}

/* LOGIN's challenges are worded as each server likes: the first asks for the name, the second for the password. */
struct verdict upstream_answer(const struct cfg_upstream *u, const struct msg_upstream_step *m, struct secret *response_out,
			       bool *done_out)
{
	if (str_ieq(m->mechanism, S("PLAIN"))) {
		if (!m->first)
			return temp(454, S("4.7.0"), S("the upstream asks for more than PLAIN has"));
		plain(u, response_out);
		*done_out = true;
		return ok();
	}
	if (str_ieq(m->mechanism, S("LOGIN"))) {
		secret_set(response_out, m->first ? u->login : u->password);
		*done_out = !m->first;
		return ok();
	}
	return temp(454, S("4.7.0"), S("this mechanism is not built"));
}
