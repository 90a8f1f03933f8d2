/* init.c - `posthouse init DOMAIN`: writes a configuration and all files that it names, and prints the DNS records to publish. It
 * never overwrites a file. When a step fails, the files of the earlier steps are removed. */
#include "dkim.h"
#include "init.h"
#include "provide.h"

#include "cli.h"
#include "user.h"

#include "posthouse/accounts.h"
#include "posthouse/directory.h"
#include "posthouse/log.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* ---- beforehand: nothing is there ---- */
static void refuse_existing(struct init *t)
{
	const char *dkim = init_path_in(t, t->directory, S(DKIM_FILE));
	const char *const targets[] = { t->config,
					t->has_certificate ? NULL : t->chain,
					t->has_certificate ? NULL : t->key,
					t->rsa_chain,
					t->rsa_key,
					t->keys[0].path,
					dkim,
					t->keys[1].path,
					t->zone,
					t->accounts,
					init_path_in(t, t->state_dir, S("accounts")) };
	struct stat st;

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		if (!targets[i])
			continue;
		if (lstat(targets[i], &st) == 0)
			init_fail(t, EX_CANTCREAT, "%s exists already; nothing was changed", targets[i]);
		if (errno != ENOENT)
			init_fail(t, EX_CANTCREAT, "%s: %s; nothing was changed", targets[i], strerror(errno));
	}
	if (stat(t->state_dir, &st) == 0 && !S_ISDIR(st.st_mode))
		init_fail(t, EX_CANTCREAT, "%s exists already and is no directory; nothing was changed", t->state_dir);
}

/* An existing state directory that is empty and belongs to root, because somebody created it by hand, is given to the relay's
 * user. */
static void make_state_dir(struct init *t)
{
	struct stat st;
	const struct user *user = &t->users.of[AS_RUN_AS];
	const char *login = init_path_in(t, t->state_dir, S("login"));
	bool missing = lstat(t->state_dir, &st) != 0;
	int error = 0;

	if (missing)
		error = directory_make_for(t->state_dir, user->uid, user->gid);
	else if (t->users.drop)
		error = directory_give(t->state_dir, user->uid, user->gid);
	if (error)
		init_fail(t, init_exit_code(error), "%s: %s", t->state_dir, strerror(error));
	if (missing)
		init_made(t, t->state_dir);
	missing = lstat(login, &st) != 0;
	error = missing ? directory_make_for(login, user->uid, user->gid) : 0;
	if (error)
		init_fail(t, init_exit_code(error), "%s: %s", login, strerror(error));
	if (missing)
		init_made(t, login);
}

static void name_files_of_domain(struct init *t)
{
	for (size_t i = 0; i < INIT_KEYS; i++)
		t->keys[i].path = init_path_in(
			t, t->directory,
			arena_printf(&t->arena, "dkim-%.*s-%.*s.key", STR_ARG(t->domain), STR_ARG(t->keys[i].selector)));
	t->zone = init_path_in(t, t->directory, arena_printf(&t->arena, "%.*s.zone", STR_ARG(t->domain)));
}

/* The directory of the configuration is created if it is missing; its parent directory must exist. */
static void make_directories(struct init *t)
{
	const char *real;

	if (mkdir(t->directory, 0755) == 0)
		init_made(t, t->directory);
	else if (errno != EEXIST)
		init_fail(t, init_exit_code(errno), "%s: %s", t->directory, strerror(errno));
	real = realpath(t->directory, NULL);
	if (!real)
		init_fail(t, EX_CANTCREAT, "%s: %s", t->directory, strerror(errno));
	t->directory = arena_cstr(&t->arena, str_of(real));
	free((void *)real);
	t->config = init_path_in(t, t->directory,
				 str_from(str_of(t->config), str_rfind(str_of(t->config), '/') == strlen(t->config)
								     ? 0
								     : str_rfind(str_of(t->config), '/') + 1));
	if (!t->has_certificate) {
		t->chain = init_path_in(t, t->directory, S("fullchain.pem"));
		t->key = init_path_in(t, t->directory, S("privkey.pem"));
		t->rsa_chain = init_path_in(t, t->directory, S("fullchain-rsa.pem"));
		t->rsa_key = init_path_in(t, t->directory, S("privkey-rsa.pem"));
	}
	if (t->personal.n == 0)
		name_files_of_domain(t);
	t->accounts = init_path_in(t, t->state_dir, S("login/accounts"));
	refuse_existing(t);
	make_state_dir(t);
}

/* ---- the first account ---- */
/* In a child process as the relay's user, so that no file in the state directory belongs to root. */
static int add_account_as_user(struct init *t)
{
	struct str verifier;
	struct verdict v;
	struct accounts *accounts;

	if (t->users.drop && !become_user(state_dir_login_user(t->state_dir, &t->users))) {
		fprintf(stderr, "posthouse: cannot become the relay's user: %s\n", strerror(errno));
		return EX_OSERR;
	}
	v = account_verifier(&t->arena, str_of(""), secret_view(&t->password), &verifier);
	accounts = v.class == OK ? accounts_open(t->state_dir, &v) : NULL;
	if (accounts)
		v = accounts_change(accounts, ACCOUNT_ADD, t->name, str_of(""), verifier, 0);
	if (v.class != OK)
		fprintf(stderr, "posthouse: %.*s: %.*s\n", STR_ARG(t->name), STR_ARG(v.text));
	accounts_close(accounts);
	return v.class == OK ? EX_OK : EX_CANTCREAT;
}

static void add_account(struct init *t)
{
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (child == 0)
		_exit(add_account_as_user(t));
	init_made(t, init_path_in(t, t->state_dir, S("login/accounts.lock")));
	init_made(t, t->accounts);
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != EX_OK)
		init_fail(t, child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : EX_OSERR,
			  "the first account could not be made");
}

int command_init(const struct options *o, const char *config_path)
{
	struct init t = { .password_given = options_given(o, "password-stdin") };

	if (config_uses_environment() && o->arguments_n == 0) {
		provide(config_path, false);
		return EX_OK;
	}
	if (o->arguments_n == 0)
		die(EX_USAGE, "init: DOMAIN or ADDRESS is missing; `posthouse init --help` says more");
	init_read_options(&t, o, config_path);
	init_ask_questions(&t, o);
	if (t.profile)
		init_complete_profile(&t);
	if (t.has_certificate)
		init_check_certificate(&t);
	init_find_user(&t);
	init_try_login(&t);
	if (t.personal.n == 0)
		init_look_up(&t);
	init_make_user(&t);
	if (t.password_given ? !read_password_line(&t.password) : account_generate_password(&t.password).class != OK)
		die(EX_NOINPUT, "expected a password on the first line of standard input");
	make_directories(&t);
	init_make_keys(&t);
	add_account(&t);
	init_write_typed(&t);
	if (t.personal.n == 0)
		init_write_zone(&t);
	init_write_config(&t);
	init_print_summary(&t);
	if (fflush(stdout) != 0 || ferror(stdout)) /* the new password can be in this output, and it is nowhere else */
		init_fail(&t, EX_IOERR, "the output cannot be written, so all is removed again: %s", strerror(errno));
	for (size_t i = 0; i < INIT_KEYS; i++)
		EVP_PKEY_free(t.keys[i].key);
	secret_fini(&t.password);
	secret_fini(&t.typed);
	arena_fini(&t.arena);
	return EX_OK;
}
