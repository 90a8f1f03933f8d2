/* providers.c - mail providers in whose domains everybody can have an address. */
#include "run.h"

#include "posthouse/profiles.h"

/* The domain of a host, as far as it matters here: its last two labels. */
static struct str tail(struct str host)
{
	size_t dot = str_rfind(host, '.'), before = dot < host.n ? str_rfind(str_head(host, dot), '.') : host.n;

	return dot < host.n && before < dot ? str_from(host, before + 1) : host;
}

/* Does the upstream belong to the provider of the domain? `p`: its profile; NULL: there is none. */
static bool belongs(const struct cfg_upstream *u, const struct profile *p, struct str domain)
{
	if (str_ieq(tail(u->host), tail(domain)))
		return true;
	return p && (str_istarts(u->profile, str_of(p->name)) || str_ieq(tail(u->host), tail(str_of(p->host))) ||
		     (p->oauth == OAUTH_MICROSOFT && str_iends(u->host, S(".office365.com"))));
}

bool domain_is_providers(struct str domain)
{
	return provider_profile(domain) != NULL;
}

const char *provider_profile(struct str domain)
{
	const struct profile *p;

	return !mailbox_domain(domain, &p) ? NULL : p ? p->name : "";
}

bool domain_is_foreign(const struct doctor_domain *domain)
{
	const struct profile *p;

	if (domain->by_mx || domain->upstreams_n == 0 || !mailbox_domain(domain->name, &p))
		return false;
	for (size_t i = 0; i < domain->upstreams_n; i++)
		if (!belongs(domain->upstreams[i], p, domain->name))
			return false;
	return true;
}
