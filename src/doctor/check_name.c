/* check_name.c - the name that we greet with. */
#include "run.h"

#include <ctype.h>

/* Why a name of this form is nothing to the world; "": it can be looked up. */
static struct str fault_of_form(struct str name)
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

void check_name_form(struct doctor *d)
{
	const struct situation *s = doctor_situation(d);
	struct str name = doctor_config(d)->hostname, fault = fault_of_form(name);
	struct doctor_finding f = { .subject = name, .text = fault };
	struct str below = s->domains_n > 0 ? s->domains[0].name : S("example.org");

	if (fault.n == 0) {
		finding_ok(d, S(""), name, S("can be looked up"));
		return;
	}
	f.result = s->mx ? DOCTOR_FAILURE : DOCTOR_ADVICE;
	f.remedy.text = S("Take a name below your domain, in posthouse.conf:");
	f.remedy.config = arena_printf(doctor_arena(d), "hostname = \"relay.%.*s\";", STR_ARG(below));
	finding_add(d, &f);
}
