/* user_change.c - adds, changes or removes an account. When the relay runs, its login role is asked over the control socket to
 * change the file. Otherwise this process takes the lock of the state directory and changes the file itself, as the user of the
 * relay, so that no file there belongs to root. The password never leaves this process: only its verifier does. */
#include "user.h"

#include "posthouse/directory.h"
#include "posthouse/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- with the relay, or without ---- */
bool become_user(const struct user *user)
{
	return initgroups(user->name, user->gid) == 0 && setgid(user->gid) == 0 && setuid(user->uid) == 0;
}

/* Create the state directory as the first start of the relay does. */
static void make_state_dir(const char *path, const struct user *user)
{
	int error = directory_make_for(path, user->uid, user->gid);

	if (error)
		die(error == EACCES || error == EPERM ? EX_NOPERM : EX_CANTCREAT, "%s: %s", path, strerror(error));
}

/* No relay runs: take its lock, keep it until this process ends, and become the user whose the account file is. */
static void take_over(struct user_command *u)
{
	const struct user *run_as, *owner;
	struct users users;
	int fd;

	if (!users_find(&users, &u->arena, u->config->run_as))
		die(EX_CONFIG, "run_as: there is no user \"%.*s\" on this machine", STR_ARG(u->config->run_as));
	run_as = &users.of[AS_RUN_AS];
	make_state_dir(u->state_dir, run_as);
	fd = directory_open_file_as(arena_cstr(&u->arena, arena_printf(&u->arena, "%s/lock", u->state_dir)), run_as->uid,
				    run_as->gid);
	if (fd < 0)
		die(errno == EACCES ? EX_NOPERM : EX_CANTCREAT, "%s/lock: %s", u->state_dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		die(EX_TEMPFAIL, "%s is in use, but no relay answers at %.*s: is it just starting or ending?", u->state_dir,
		    STR_ARG(u->config->control));
	owner = state_dir_login_user(u->state_dir, &users);
	if (users.drop && !become_user(owner))
		die(EX_OSERR, "cannot become %s: %s", owner->name, strerror(errno));
}

void connect_or_take_over(struct user_command *u)
{
	const char *why;

	u->control = control_open(u->config->control, 0, &why);
	if (u->control)
		return;
	if (errno != ENOENT && errno != ECONNREFUSED)
		die(errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "%.*s: %s", STR_ARG(u->config->control), why);
	take_over(u);
}

/* ---- changing ---- */
/* The salt of the account's other passwords, which the new verifier must share. Without permission to read the file there is
 * none, and the relay refuses a verifier with another salt. */
static struct str shared_verifier(struct user_command *u)
{
	struct verdict why;
	struct accounts *accounts = accounts_open(u->state_dir, &why);
	struct str verifier = str_of("");

	for (size_t i = 0; accounts && i < accounts_count(accounts); i++) {
		const struct account *account = accounts_at(accounts, i);

		if (str_eq(account->name, u->name) && !str_eq(account->device, u->device))
			verifier = arena_str(&u->arena, account->verifier);
	}
	accounts_close(accounts);
	return verifier;
}

static struct verdict change_by_relay(struct user_command *u, struct str verifier)
{
	struct msg_account_change m = { .operation = u->operation,
					.name = u->name,
					.device = u->device,
					.verifier = verifier,
					.expires_at = u->expires_at,
					.reason = u->reason };
	union ipc_message *answer;
	const char *why;

	if (!control_call(u->control, MSG_account_change, &m, MSG_account_changed, &u->arena, &answer, &why))
		die(EX_UNAVAILABLE, "%s", why);
	return answer->account_changed.verdict;
}

/* A file of this machine alone can be prepared before the first start: its accounts are shared when there are none so far. */
static struct verdict check_shared(const struct user_command *u, const struct accounts *accounts)
{
	if (u->config->store.engine != ENGINE_POSTGRESQL)
		return ok();
	if (accounts_are_copied(accounts))
		return temp(451, S("4.3.0"),
			    S("the accounts are in the database (store.engine): start the relay to change them"));
	fprintf(stderr,
		"posthouse: note: when the relay starts, the accounts in the database (store.engine) replace these, if there "
		"are any: see posthouse-cluster(7)\n");
	return ok();
}

static struct verdict change_here(struct user_command *u, struct str verifier)
{
	struct verdict v;
	struct accounts *accounts = accounts_open(u->state_dir, &v);

	if (accounts)
		v = check_shared(u, accounts);
	if (v.class == OK && (u->operation == ACCOUNT_LOCK || u->operation == ACCOUNT_UNLOCK))
		v = verdict_keep(&u->arena, accounts_lock(accounts, u->operation, u->name, u->device, u->reason));
	else if (v.class == OK)
		v = verdict_keep(&u->arena, accounts_change(accounts, u->operation, u->name, u->device, verifier, u->expires_at));
	accounts_close(accounts);
	return v;
}

/* Compute the verifier, if one is needed, and make the change. Repeat both when the account got another password meanwhile. */
struct verdict user_change(struct user_command *u)
{
	struct str verifier = str_of(""), shared = str_of("");
	bool has_password = u->operation == ACCOUNT_ADD || u->operation == ACCOUNT_PASSWD;
	struct verdict v;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (has_password) {
			struct str now = shared_verifier(u);

			if (attempt && str_eq(now, shared))
				break;
			shared = now;
			v = account_verifier(&u->arena, shared, secret_view(&u->password), &verifier);
			if (v.class != OK)
				return v;
		}
		v = u->control ? change_by_relay(u, verifier) : change_here(u, verifier);
		if (v.class != PERM || !has_password)
			break;
	}
	return v;
}
