/* provide_accounts.c - accounts as variables name them. A second account file, env/accounts beside the first, has them as they
 * were at the last start: so a password that has changed in a variable is told from one that a person has changed. */
#include "provide.h"

#include "cli.h"

#include "posthouse/directory.h"
#include "posthouse/log.h"

#include <errno.h>
#include <sys/stat.h>
#include <sysexits.h>

struct providing {
	struct arena arena;
	const struct config *config;
	struct accounts *accounts, *before;
};

static struct accounts *open_accounts(const char *directory)
{
	struct verdict why;
	struct accounts *accounts = accounts_open(directory, &why);

	if (!accounts)
		die(EX_CANTCREAT, "%s: %.*s", directory, STR_ARG(why.text));
	return accounts;
}

/* Of a user: what cannot be done is a fault of its variable. */
static void need(struct verdict v, const struct environment_user *u)
{
	if (v.class != OK)
		die(v.class == TEMP ? EX_TEMPFAIL : EX_CONFIG, "%.*s: %.*s: %.*s", STR_ARG(u->variable), STR_ARG(u->login),
		    STR_ARG(v.text));
}

/* Passwords of one account share their salt. */
static struct str shared_verifier(struct providing *p, const struct accounts *in, struct str name)
{
	const struct account *any = accounts_any(in, name);

	return any ? arena_str(&p->arena, any->verifier) : S("");
}

static void set(struct providing *p, struct accounts *in, struct str name, struct str device, const struct environment_user *u)
{
	bool is_there = accounts_find(in, name, device) != NULL;
	struct str verifier;

	need(account_verifier(&p->arena, shared_verifier(p, in, name), u->password, &verifier), u);
	need(accounts_change(in, is_there ? ACCOUNT_PASSWD : ACCOUNT_ADD, name, device, verifier,
			     is_there ? ACCOUNTS_KEEP_EXPIRY : 0),
	     u);
}

static void unlock(struct providing *p, struct str name, struct str device, const struct environment_user *u)
{
	const struct account *own = accounts_find(p->accounts, name, device);

	if (own && own->locked_at > 0 && str_eq(own->reason, S(PROVIDE_LOCK)))
		need(accounts_lock(p->accounts, ACCOUNT_UNLOCK, name, device, S("")), u);
}

static void read_name(struct providing *p, const struct environment_user *u, struct str *name_out, struct str *device_out)
{
	if (!account_parse_name(&p->arena, u->login, p->config->auth.realm, name_out, device_out))
		die(EX_CONFIG, "%.*s: \"%.*s\" is no login", STR_ARG(u->variable), STR_ARG(u->login));
}

static void provide_account(struct providing *p, const struct environment_user *u)
{
	const struct account *before;
	struct str name, device;
	bool same, is_there;

	read_name(p, u, &name, &device);
	before = accounts_find(p->before, name, device);
	same = before && account_check(before->verifier, u->password);
	is_there = accounts_find(p->accounts, name, device) != NULL;
	if (!same || !is_there) {
		set(p, p->accounts, name, device, u);
		log_words(LOG_INFO, arena_printf(&p->arena, "posthouse: %.*s %s, as %.*s has it", STR_ARG(u->login),
						 is_there ? "has another password" : "was added", STR_ARG(u->variable)));
	}
	if (!same)
		set(p, p->before, name, device, u);
	unlock(p, name, device, u);
}

static bool is_named(struct providing *p, const struct account *row)
{
	const struct environment *made = p->config->environment;
	struct str name, device;

	for (size_t i = 0; i < made->users_n; i++) {
		read_name(p, &made->users[i], &name, &device);
		if (str_eq(name, row->name) && str_eq(device, row->device))
			return true;
	}
	return false;
}

/* An account that no variable names any more: locked, so that nobody comes in by it, and nothing of a person's is lost. */
static void lock_others(struct providing *p)
{
	for (size_t i = 0; i < accounts_count(p->before); i++) {
		const struct account *row = accounts_at(p->before, i), *own = accounts_find(p->accounts, row->name, row->device);

		if (!own || own->locked_at > 0 || is_named(p, row))
			continue;
		if (accounts_lock(p->accounts, ACCOUNT_LOCK, row->name, row->device, S(PROVIDE_LOCK)).class != OK)
			die(EX_CANTCREAT, "%.*s could not be locked", STR_ARG(row->name));
		log_words(LOG_INFO, arena_printf(&p->arena, "posthouse: %.*s is locked: " PROVIDE_LOCK, STR_ARG(row->name)));
	}
}

void provide_accounts(const struct config *c)
{
	struct providing p = { .config = c };
	struct str place = directory_of(&p.arena, c->state_dir, "login");
	const char *state = arena_cstr(&p.arena, c->state_dir),
		   *before = arena_cstr(&p.arena, arena_printf(&p.arena, "%.*s/" PROVIDED, STR_ARG(place)));

	if (mkdir(before, 0700) != 0 && errno != EEXIST)
		die(EX_CANTCREAT, "%s: %s", before, strerror(errno));
	p.accounts = open_accounts(state);
	p.before = open_accounts(before);
	for (size_t i = 0; i < c->environment->users_n; i++)
		provide_account(&p, &c->environment->users[i]);
	lock_others(&p);
	accounts_close(p.before);
	accounts_close(p.accounts);
	arena_fini(&p.arena);
}
