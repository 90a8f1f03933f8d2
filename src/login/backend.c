/* backend.c - see backend.h. */
#include "backend.h"

#define SHORT_STEPS 4  /* they compute hashes: more threads than processors would only slow each other down */
#define LONG_STEPS  64 /* they wait: each costs only the stack of a thread */

static const struct backend backends[] = {
	/* Cyrus asks the plug-in when the check of PLAIN here has failed; without a plain text it fails too */
	{ "accounts", NULL, NULL, "auxprop", NULL, true, false, SHORT_STEPS },
	{ "sasldb", "libsasldb.", "libsasl2-modules-db", "auxprop", NULL, true, false, LONG_STEPS },
	{ "saslauthd", NULL, NULL, "saslauthd", NULL, false, false, LONG_STEPS },
	{ "ldapdb", "libldapdb.", "libsasl2-modules-ldap", "auxprop", "ldapdb_uri", true, false, LONG_STEPS },
	{ "sql", "libsql.", "libsasl2-modules-sql", "auxprop", "sql_select", true, true, LONG_STEPS },
};

const struct backend *backend_find(struct str name)
{
	if (name.n == 0)
		return &backends[0];
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (str_eq(name, str_of(backends[i].name)))
			return &backends[i];
	return NULL;
}

bool backend_is_ours(const struct backend *b)
{
	return b == &backends[0];
}

/* The account file has names of all realms; other back-ends have those of auth.realm and of the option "realms". Some of them
 * look only at the part before the @: they would accept a user's password for the same name in another realm. */
static bool serves(struct str realms, struct str our_realm, struct str realm)
{
	struct str one;

	if (str_ieq(realm, our_realm))
		return true;
	while (str_split(&realms, ' ', &one))
		if (one.n && str_ieq(one, realm))
			return true;
	return false;
}

/* Cyrus' sql plug-in escapes quotes in its query by a backslash, which SQLite and others do not understand as an escape. */
static bool harmless_in_sql(struct str name)
{
	for (size_t i = 0; i < name.n; i++)
		if (strchr("'\"\\`;", name.p[i]))
			return false;
	return true;
}

bool backend_may_know(const struct backend *b, struct str realms, struct str our_realm, struct str name, struct str device)
{
	size_t at = str_find(name, '@');

	if (backend_is_ours(b))
		return true;
	return device.n == 0 && serves(realms, our_realm, str_from(name, at + 1)) && (!b->is_sql || harmless_in_sql(name));
}

struct verdict backend_check(struct arena *a, const struct cfg_auth *auth)
{
	const struct backend *b = backend_find(auth->backend);

	if (!b)
		return perm(0, S(""), arena_printf(a, "auth.backend: there is no back-end \"%.*s\"", STR_ARG(auth->backend)));
	if (b->needs && auth_option(auth, str_of(b->needs)).n == 0)
		return perm(0, S(""), arena_printf(a, "auth.options: the back-end %s needs %s", b->name, b->needs));
	for (size_t i = 0; i < auth->mechanisms.n; i++)
		if (!b->knows_scram && str_istarts(auth->mechanisms.at[i], S("SCRAM-")))
			return perm(0, S(""),
				    arena_printf(a, "auth.mechanisms: the back-end %s cannot do %.*s, only PLAIN and LOGIN",
						 b->name, STR_ARG(auth->mechanisms.at[i])));
	return ok();
}
