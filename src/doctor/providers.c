/* providers.c - mail providers in whose domains everybody can have an address. */
#include "run.h"

/* Domains in which everybody can have an address, with the profile of their provider. A name without a dot stands for all
 * top-level domains ("yahoo": yahoo.com, yahoo.co.uk). */
static const struct provider {
	const char *domain, *profile;
} providers[] = {
	{ "gmail.com", "gmail" },
	{ "googlemail.com", "gmail" },
	{ "outlook", "outlook" },
	{ "hotmail", "outlook" },
	{ "live.com", "outlook" },
	{ "msn.com", "outlook" },
	{ "yahoo", "yahoo" },
	{ "ymail.com", "yahoo" },
	{ "rocketmail.com", "yahoo" },
	{ "aol.com", "aol" },
	{ "gmx", "gmx" },
	{ "web.de", "webde" },
	{ "t-online.de", "tonline" },
	{ "freenet.de", "freenet" },
	{ "icloud.com", "icloud" },
	{ "me.com", "icloud" },
	{ "mac.com", "icloud" },
	{ "mail.ru", "mailru" },
	{ "inbox.ru", "mailru" },
	{ "list.ru", "mailru" },
	{ "bk.ru", "mailru" },
	{ "yandex", "yandex" },
	{ "ya.ru", "yandex" },
	{ "proton.me", "proton" },
	{ "protonmail.com", "proton" },
	{ "pm.me", "proton" },
	{ "fastmail.com", "fastmail" },
	{ "zoho.com", "zoho" },
	{ "rambler.ru", "rambler" },
	{ "seznam.cz", "seznam" },
	{ "wp.pl", "wp" },
	{ "o2.pl", "wp" },
	{ "libero.it", "libero" },
	{ "orange.fr", "orange" },
	{ "free.fr", "free" },
	{ "laposte.net", "laposte" },
	{ "qq.com", "qq" },
	{ "163.com", "163" },
	{ "126.com", "163" },
	{ "naver.com", "naver" },
	{ "tutanota.com", "tuta" },
	{ "mail.com", "mailcom" },
	{ "posteo.de", "posteo" },
	{ "mailbox.org", "mailbox" },
};

static bool is_of(const struct provider *p, struct str domain)
{
	struct str name = str_of(p->domain);

	if (str_find(name, '.') < name.n)
		return str_eq(domain, name);
	/* "yahoo.com", "yahoo.co.uk", never "yahoo.example.org" */
	return str_eq(str_head(domain, str_find(domain, '.')), name) && domain.n - name.n <= sizeof ".com.br" - 1;
}

static const struct provider *provider_of(struct str domain)
{
	for (size_t i = 0; i < sizeof providers / sizeof *providers; i++)
		if (is_of(&providers[i], domain))
			return &providers[i];
	return NULL;
}

/* The domain of a host, as far as it matters here: its last two labels. */
static struct str tail(struct str host)
{
	size_t dot = str_rfind(host, '.'), before = dot < host.n ? str_rfind(str_head(host, dot), '.') : host.n;

	return dot < host.n && before < dot ? str_from(host, before + 1) : host;
}

/* Does the upstream belong to the provider of the domain? */
static bool belongs(const struct cfg_upstream *u, const struct provider *p, struct str domain)
{
	return str_istarts(u->profile, str_of(p->profile)) || str_ieq(tail(u->host), tail(domain)) ||
	       (str_eq(str_of(p->profile), S("gmail")) && str_iends(u->host, S(".gmail.com"))) ||
	       (str_eq(str_of(p->profile), S("outlook")) && str_iends(u->host, S(".office365.com")));
}

bool domain_is_providers(struct str domain)
{
	return provider_of(domain) != NULL;
}

const char *provider_profile(struct str domain)
{
	const struct provider *p = provider_of(domain);

	return p ? p->profile : NULL;
}

bool domain_is_foreign(const struct doctor_domain *domain)
{
	const struct provider *p = provider_of(domain->name);

	if (domain->by_mx || domain->upstreams_n == 0)
		return false;
	for (size_t i = 0; p && i < domain->upstreams_n; i++)
		if (!belongs(domain->upstreams[i], p, domain->name))
			return false;
	return p != NULL;
}
