/* check_tls.c - the named exceptions of the configuration: domains, and routes, whose mail goes to servers without proof of who
 * these are. */
#include "doctor.h"

/* list: the key of which the exception is an entry */
static void exception(struct doctor *d, struct str subject, const char *text, const char *list)
{
	struct doctor_finding f = { .result = DOCTOR_WARNING, .subject = subject, .found = S("none"), .text = str_of(text) };

	f.remedy.text = arena_printf(doctor_arena(d), "When the servers are mended, take the exception out of %s:", list);
	f.remedy.command = S("posthouse reload");
	finding_add(d, &f);
}

void check_tls_exceptions(struct doctor *d)
{
	const struct config *c = doctor_config(d);
	bool any = false;

	for (size_t i = 0; i < c->tls_n; i++)
		for (size_t k = 0; k < c->tls[i].destinations.n && c->tls[i].demand.require == TLS_REQUIRE_NONE; k++) {
			exception(d, c->tls[i].destinations.at[k],
				  "gets mail without DANE and MTA-STS, and in clear text where TLS fails", "tls");
			any = true;
		}
	for (size_t i = 0; i < c->routes_n; i++)
		if (c->routes[i].tls == TLS_REQUIRE_NONE) {
			exception(d, arena_printf(doctor_arena(d), "routes[%llu]", (unsigned long long)c->routes[i].place),
				  "sends mail without DANE and MTA-STS, and in clear text where TLS fails", "routes");
			any = true;
		}
	if (!any)
		finding_ok(d, S(""), S(""), S("no domain is excepted from DANE and MTA-STS"));
}
