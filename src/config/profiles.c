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

/* `text` with the region in the place of REGION; "": the region is needed. */
static struct str in_region(const struct profile *p, struct arena *a, const char *text, struct str region)
{
	size_t at = str_search(str_of(text), REGION);

	if (at == strlen(text))
		return str_of(text);
	if (region.n == 0)
		region = str_of(p->region);
	if (region.n == 0)
		return S("");
	return arena_printf(a, "%.*s%.*s%s", (int)at, text, STR_ARG(region), text + at + REGION.n);
}

bool profile_wants_region(const struct profile *p)
{
	return str_search(str_of(p->host), REGION) < strlen(p->host);
}

struct str profile_host(const struct profile *p, struct arena *a, struct str region)
{
	return in_region(p, a, p->host, region);
}

struct str profile_spf(const struct profile *p, struct arena *a, struct str region)
{
	return in_region(p, a, p->spf ? p->spf : "", region);
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
