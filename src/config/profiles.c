/* profiles.c - see profiles.h. */
#include "posthouse/profiles.h"

#include "schema.h"

#include "posthouse/units.h"

#define REGION S("REGION")

#define PROFILE(n, ...) { .name = n, __VA_ARGS__ },
#define ALIAS(name, profile)
const struct profile profiles[] = {
#include "profiles.def"
};
const size_t profiles_n = sizeof(profiles) / sizeof(profiles[0]);

#define PROFILE(name, ...)
#define ALIAS(name, profile) { name, profile },
static const struct alias {
	const char *name, *profile;
} aliases[] = {
#include "profiles.def"
};
#define ALIASES (sizeof(aliases) / sizeof(aliases[0]))

#define PROFILE(name, ...)   { name },
#define ALIAS(name, profile) { name },
const struct choice profile_choices[] = {
#include "profiles.def"
	{ NULL }
};

const struct profile *profile_find(struct str name)
{
	for (size_t i = 0; i < ALIASES; i++)
		if (str_eq(name, str_of(aliases[i].name)))
			name = str_of(aliases[i].profile);
	for (size_t i = 0; i < profiles_n; i++)
		if (str_eq(name, str_of(profiles[i].name)))
			return &profiles[i];
	return NULL;
}

struct str profile_aliases(const struct profile *p, struct arena *a)
{
	struct str all = S("");

	for (size_t i = 0; i < ALIASES; i++)
		if (strcmp(aliases[i].profile, p->name) == 0)
			all = arena_printf(a, "%.*s%s%s", STR_ARG(all), all.n ? " " : "", aliases[i].name);
	return all;
}

bool profile_wants_region(const struct profile *p)
{
	return str_search(str_of(p->host), REGION) < strlen(p->host);
}

struct str profile_host(const struct profile *p, struct arena *a, struct str region)
{
	size_t at = str_search(str_of(p->host), REGION);

	if (!profile_wants_region(p))
		return str_of(p->host);
	if (region.n == 0 && !p->region)
		return S("");
	if (region.n == 0)
		region = str_of(p->region);
	return arena_printf(a, "%.*s%.*s%s", (int)at, p->host, STR_ARG(region), p->host + at + REGION.n);
}

unsigned profile_tls(const struct profile *p)
{
	return p->port == 465 ? UPSTREAM_IMPLICIT : UPSTREAM_STARTTLS;
}

bool profile_login_fits(const struct profile *p, struct str login)
{
	bool address = str_find(login, '@') < login.n;

	switch (p->form) {
	case FORM_ADDRESS: return address;
	case FORM_WORD: return str_eq(login, str_of(p->login));
	case FORM_ID: return !address;
	default: return true;
	}
}

/* ---- for people ---- */

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
	add(&f, "note", p->hint);
	add_text(&f, "known", arena_printf(a, "%s, confidence %c", PROFILES_DATE, p->confidence));
	return f.n;
}
