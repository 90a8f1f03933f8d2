/* provide_check.c - `--env`: names of accounts as variables have them, before any account is made. */
#include "provide.h"

#include "posthouse/log.h"

struct full_name {
	struct str name, device;
};

/* The name is added to those before it; NULL, or what is wrong with it. */
static const char *take_name(struct arena *a, struct full_name *all, size_t *n, struct str login, struct str realm)
{
	struct full_name *own = &all[*n];

	if (!account_parse_name(a, login, realm, &own->name, &own->device))
		return "expected a name like alice, alice@example.org or alice/phone, not";
	for (size_t i = 0; i < *n; i++)
		if (str_eq(all[i].name, own->name) && str_eq(all[i].device, own->device))
			return "expected each account once, but this one is there twice:";
	++*n;
	return NULL;
}

unsigned provide_check_accounts(const struct config *c)
{
	const struct environment *made = c->environment;
	struct arena a = { 0 };
	struct full_name *all = ARENA_ARRAY(&a, struct full_name, made->users_n + 1);
	size_t names = 0;
	unsigned faults = 0;

	for (size_t i = 0; i < made->users_n; i++) {
		const struct environment_user *u = &made->users[i];
		const char *why = take_name(&a, all, &names, u->login, c->auth.realm);

		if (why)
			log_words(LOG_ERROR, arena_printf(&a, "%.*s: %s \"%.*s\"", STR_ARG(u->variable), why, STR_ARG(u->login)));
		faults += why != NULL;
	}
	arena_fini(&a);
	return faults;
}
