/* profile_facts.c - what is known of a provider, for people. */
#include "posthouse/profiles.h"

#include "schema.h"

#include "posthouse/units.h"

struct facts {
	struct arena *arena;
	struct profile_fact *at;
	size_t n;
};

static void add_text(struct facts *f, const char *label, struct str value)
{
	if (value.n > 0)
		f->at[f->n++] = (struct profile_fact){ label, value };
}

static void add(struct facts *f, const char *label, const char *value)
{
	add_text(f, label, str_of(value ? value : ""));
}

static void add_number(struct facts *f, const char *label, uint64_t value)
{
	if (value > 0)
		add_text(f, label, arena_printf(f->arena, "%llu", (unsigned long long)value));
}

static void add_limits(struct facts *f, const struct profile *p)
{
	add(f, "messages", p->messages);
	add(f, "recipients", p->recipients);
	add_number(f, "recipients of a message", p->recipients_per_message);
	if (p->message_size)
		add_text(f, "size of a message", arena_printf(f->arena, "%lluM", (unsigned long long)(p->message_size / MIB)));
	add_number(f, "connections", p->connections);
	add_number(f, "messages over a connection", p->messages_per_connection);
}

size_t profile_facts(const struct profile *p, struct arena *a, struct profile_fact facts_out[PROFILE_FACTS_MAX])
{
	static const char *const nulls[] = { NULL, "taken", "refused: set report_sender" };
	struct facts f = { a, facts_out, 0 };

	add_text(&f, "also called", profile_aliases(p, a));
	add(&f, "host", p->host);
	if (profile_wants_region(p))
		add(&f, "REGION", p->region ? p->region : "the key region is needed");
	add_text(&f, "port", arena_printf(a, "%u, TLS %s", p->port, choice_name(upstream_tls_choices, profile_tls(p))));
	add(&f, "mechanisms", p->mechanisms);
	add_text(&f, "login", p->form == FORM_WORD ? arena_printf(a, "the word %s", p->login) : str_of(p->login));
	add(&f, "password", p->password ? p->password : "none is taken");
	if (p->oauth != OAUTH_NONE)
		add(&f, "OAuth", choice_name(oauth_provider_choices, p->oauth));
	add(&f, "From", p->from);
	add(&f, "null sender", nulls[p->null_sender]);
	add_limits(&f, p);
	if (p->spf)
		add_text(&f, "SPF", arena_printf(a, "include:%.*s", STR_ARG(profile_spf(p, a, S("REGION")))));
	add(&f, "envelope sender", p->own_envelope ? "its own" : NULL);
	add(&f, "DKIM", p->signs ? "signs for your domain when its records are published there" : NULL);
	add(&f, "note", p->hint);
	add_text(&f, "known", arena_printf(a, "%s, confidence %c", PROFILES_DATE, p->confidence));
	return f.n;
}
