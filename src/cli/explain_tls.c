/* explain_tls.c - `posthouse explain`: which TLS the mail servers of a domain get, and who says so. The configuration is that of
 * the file; what the domain says by DANE and MTA-STS is asked of a running relay. */
#include "explain.h"

#define WITHIN_MS 60000 /* name servers and the server of the policy can be slow */

/* What the configuration demands, and the entry that says so. */
static struct str demand_text(struct explain *e, const struct cfg_tls_demand *d)
{
	struct str names = S("the name of the server");

	switch ((enum tls_require)d->require) {
	case TLS_REQUIRE_DEFAULT: return S("opportunistic: where it is offered; more where DANE or MTA-STS of the domain say so");
	case TLS_REQUIRE_NONE: return S("an exception: DANE and MTA-STS of the domain do not count, clear text where TLS fails");
	case TLS_REQUIRE_ENCRYPTED: return S("demanded, with any certificate; more where DANE or MTA-STS of the domain say so");
	case TLS_REQUIRE_DANE: return S("demanded, and proved by DANE");
	case TLS_REQUIRE_VERIFIED: break;
	}
	for (size_t i = 0; i < d->names.n; i++)
		names = i == 0 ? d->names.at[0]
			       : arena_printf(&e->arena, "%.*s or %.*s", STR_ARG(names), STR_ARG(d->names.at[i]));
	return arena_printf(&e->arena, "demanded, a trusted certificate%s must bear %.*s%s",
			    d->ca.n ? " of its own authorities" : "", STR_ARG(names),
			    d->ca.n + d->names.n == 0 ? ", or DANE proves it" : "");
}

/* "mx1.corp.example: verified by mta-sts, certificate must bear mx1.corp.example" */
static struct str host_text(struct explain *e, const struct rec_tls_host *h)
{
	if (h->verdict.class != OK)
		return arena_printf(&e->arena, "%.*s: gets no mail: %.*s", STR_ARG(h->host), STR_ARG(h->verdict.text));
	return arena_printf(&e->arena, "%.*s: %.*s%s%.*s", STR_ARG(h->host), STR_ARG(h->policy),
			    h->names.n ? ", certificate must bear " : "", STR_ARG(h->names));
}

/* NULL: nobody can be asked, and why. */
static const struct msg_tls_looked *ask(struct explain *e, struct str domain, enum tls_require route, const char **why_out)
{
	struct msg_tls_look question = { .domain = domain, .require = route, .wish = e->wish };
	struct control *control = e->offline ? NULL : control_open(e->c->control, WITHIN_MS, why_out);
	union ipc_message *m = NULL;

	if (e->offline)
		*why_out = "not asked";
	if (control && !control_call(control, MSG_tls_look, &question, MSG_tls_looked, &e->arena, &m, why_out))
		m = NULL;
	control_close(control);
	return m ? &m->tls_looked : NULL;
}

void explain_domain_tls(struct explain *e, struct str domain, enum tls_require route, struct str route_name)
{
	const struct cfg_tls *entry = tls_entry_of(e->c, domain);
	struct cfg_tls_demand d = tls_demand_of(e->c, domain, route, e->wish);
	struct str rule = route != TLS_REQUIRE_DEFAULT ? route_name
			  : entry                      ? arena_printf(&e->arena, "tls[%zu]", (size_t)(entry - e->c->tls) + 1)
						       : S("");
	struct str lines = demand_text(e, &d), by = rule.n ? rule : S("delivery.tls");
	const char *why = "";
	const struct msg_tls_looked *m = ask(e, domain, route, &why);
	size_t allowed = 0;

	lines = arena_printf(&e->arena, "%.*s (%.*s)", STR_ARG(lines), STR_ARG(by));
	for (size_t i = 0; m && i < m->hosts.n; i++) {
		allowed += m->hosts.at[i].verdict.class == OK;
		lines = arena_printf(&e->arena, "%.*s\n%.*s", STR_ARG(lines), STR_ARG(host_text(e, &m->hosts.at[i])));
	}
	if (!m && !e->offline)
		lines = arena_printf(&e->arena, "%.*s\nDANE and MTA-STS of the domain are not known: %s", STR_ARG(lines), why);
	else if (m && m->hosts.n == 0)
		lines = arena_printf(&e->arena, "%.*s\nno server is known: %.*s", STR_ARG(lines), STR_ARG(m->verdict.text));
	explain_step(e, "TLS",
		     m && m->hosts.n > 0 && allowed == 0 ? EXPLAINED_WAITS
		     : m || e->offline                   ? EXPLAINED_OK
							 : EXPLAINED_UNKNOWN,
		     rule, lines);
}
