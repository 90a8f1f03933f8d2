/* tls_demands.c - checks of `tls`: what an entry demands must be possible, and mail must be able to meet it. */
#include "loader.h"

#include "posthouse/policy.h"

/* A certificate is looked at only where it must be trusted. */
static void check_demand(struct loader *l, const struct cfg_tls_demand *d, const char *key, const config_setting_t *where)
{
	const char *what = d->ca.n > 0 ? "ca" : "names";

	if (d->ca.n == 0 && d->names.n == 0)
		return;
	switch ((enum tls_require)d->require) {
	case TLS_REQUIRE_VERIFIED: break;
	case TLS_REQUIRE_DANE:
		fault(l, where, "%s: expected no %s beside require = \"dane\": its TLSA records say which certificate is right",
		      key, what);
		break;
	case TLS_REQUIRE_DEFAULT:
	case TLS_REQUIRE_NONE:
	case TLS_REQUIRE_ENCRYPTED:
		fault(l, where, "%s: expected require = \"verified\" beside %s: otherwise nobody looks at the certificate", key,
		      what);
		break;
	}
}

/* Each domain of `b` is one of `a`. */
static bool covers(struct str a, struct str b)
{
	struct str domain = str_from(b, str_rfind(b, '@') + 1);

	if (str_eq(a, S("*")) || str_ieq(a, b))
		return true;
	if (str_eq(b, S("*")) || !str_starts(a, S("@.")))
		return false;
	/* below "@.a" are "@b.a" and "@.b.a" */
	return domain.n + 1 > a.n && str_iends(domain, str_from(a, 1));
}

static bool list_covers(const struct str_list *list, struct str pattern)
{
	for (size_t i = 0; i < list->n; i++)
		if (covers(list->at[i], pattern))
			return true;
	return false;
}

/* The entry that an earlier one leaves nothing for has no effect. */
static void check_destinations(struct loader *l, size_t i)
{
	const struct config *c = l->config;
	const struct str_list *destinations = &c->tls[i].destinations;

	for (size_t k = 0; k < destinations->n; k++) {
		struct str pattern = destinations->at[k];
		const config_setting_t *s = setting_near(l, "tls.[%zu].destinations.[%zu]", i, k);

		for (size_t j = 0; j < i && pattern.n > 0; j++) /* "": it was no pattern, which is a fault already */
			if (list_covers(&c->tls[j].destinations, pattern)) {
				warning(l, s,
					"tls.destinations: \"%.*s\" has no effect: element %zu of the list is for it too, "
					"and comes first",
					STR_ARG(pattern), j + 1);
				break;
			}
	}
}

void tls_check(struct loader *l)
{
	const struct config *c = l->config;

	for (size_t i = 0; i < c->tls_n; i++) {
		check_demand(l, &c->tls[i].demand, "tls", setting_near(l, "tls.[%zu]", i));
		check_destinations(l, i);
	}
}
