/* explain_local.c - `posthouse explain --local-user`: mail that a user of this machine sends without a password. */
#include "explain.h"

#include "posthouse/local.h"
#include "posthouse/log.h"

#include <pwd.h>
#include <sysexits.h>

/* A name, or a number that need not have one. */
static uint64_t read_user(const char *text, struct str *name_out, struct arena *a)
{
	const struct passwd *entry = getpwnam(text);
	uint64_t uid;

	if (entry) {
		*name_out = str_of(text);
		return entry->pw_uid;
	}
	if (!str_to_u64(str_of(text), &uid) || uid > UINT32_MAX)
		die(EX_USAGE, "--local-user: \"%s\" is no user of this machine", text);
	*name_out = machine_user_name(a, uid);
	return uid;
}

void explain_local_user(struct explain *e, const char *text)
{
	struct str name, rule = S("");
	uint64_t uid = read_user(text, &name, &e->arena);
	struct local_user *u = &e->user_here;

	local_user_of(e->c, &e->arena, name, uid, u);
	e->local = true;
	e->system_users = machine_system_users(&e->arena);
	e->login = u->login;
	if (u->entry < e->c->local.users_n)
		rule = arena_printf(&e->arena, "local.users[%zu]", u->entry + 1);
	if (u->refused)
		explain_step(e, "user", EXPLAINED_REFUSED, rule,
			     arena_printf(&e->arena, "554 5.7.1 %.*s (UID %llu) is refused by %.*s", STR_ARG(u->name),
					  (unsigned long long)uid, STR_ARG(rule)));
	else
		explain_step(e, "user", EXPLAINED_OK, rule,
			     arena_printf(&e->arena, "%.*s (UID %llu) sends as %.*s%s%.*s", STR_ARG(u->name),
					  (unsigned long long)uid, STR_ARG(u->login), rule.n ? " by " : ", its own name",
					  STR_ARG(rule)));
}

struct str explain_local_sender(struct explain *e, struct str address)
{
	struct str sender = local_sender(e->c, &e->arena, &e->user_here, address);

	if (address.n > 0 && sender.n == 0)
		explain_step(e, "sender", EXPLAINED_REFUSED, S(""),
			     S("550 5.7.1 the user has no address\nlocal.users[].sender can give it one"));
	return sender;
}

struct str explain_local_recipient(struct explain *e, struct str address)
{
	bool for_postmaster;
	struct str name, to = local_recipient(e->c, &e->arena, e->system_users, address, &for_postmaster);

	if (!local_name(e->c, address, &name))
		return explain_rewrite(e, "recipient", false, false, address);
	if (for_postmaster) {
		explain_step(e, "recipient", EXPLAINED_OK, S(""),
			     arena_printf(&e->arena, "%.*s has no mailbox here: it is the postmaster", STR_ARG(name)));
		return explain_rewrite(e, "recipient", false, false, e->c->postmaster);
	}
	address = arena_printf(&e->arena, "%.*s@%.*s", STR_ARG(name), STR_ARG(e->c->auth.realm));
	if (str_eq(to, address))
		explain_step(e, "recipient", EXPLAINED_OK, S(""),
			     arena_printf(&e->arena, "%.*s is %.*s", STR_ARG(name), STR_ARG(address)));
	return explain_rewrite(e, "recipient", false, false, address);
}
