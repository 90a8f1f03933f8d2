/* txt.c - see txt.h. */
#include "txt.h"

const struct dns_entry *entry_of(struct doctor *d, const char *type, struct str name, struct str value, struct str was)
{
	struct dns_entry *e = ARENA_NEW(doctor_arena(d), struct dns_entry);

	*e = (struct dns_entry){
		.type = type,
		.name = name,
		.value = value,
		.ttl = 300,
		.comment = S(""),
		.was = was,
		.state = was.n > 0 ? ENTRY_CHANGED : ENTRY_MISSING,
	};
	return e;
}

bool answer_missing(struct doctor *d, const struct fact_dns *f, struct str domain, struct str subject)
{
	if (f->state == FACT_UNKNOWN)
		finding_unknown(d, domain, subject, SAY("could not be asked: %.*s", STR_ARG(f->why)));
	return f->state == FACT_PENDING || f->state == FACT_UNKNOWN;
}

struct str_list texts_like(struct doctor *d, const struct fact_dns *f, struct str version)
{
	struct str_list list = { ARENA_ARRAY(doctor_arena(d), struct str, f->n), 0 };

	for (size_t i = 0; i < f->n; i++) {
		struct str text = f->records[i].text;

		while (text.n > 0 && (text.p[0] == ' ' || text.p[0] == '"' || text.p[0] == '\t'))
			text = str_from(text, 1);
		if (str_istarts(text, version))
			list.at[list.n++] = f->records[i].text;
	}
	return list;
}

const struct cfg_sign *key_of(struct doctor *d, struct str domain)
{
	const struct config *c = doctor_config(d);
	const struct cfg_sign *parent = NULL;

	for (size_t i = 0; i < c->sign_n; i++) {
		if (str_eq(c->sign[i].domain, domain))
			return &c->sign[i];
		if (domains_align(c->sign[i].domain, domain, false) && str_ends(domain, c->sign[i].domain))
			parent = &c->sign[i];
	}
	return parent;
}

struct str upstream_domain(const struct cfg_upstream *u)
{
	return organisational_domain(u->host);
}
