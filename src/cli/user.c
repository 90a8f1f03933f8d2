/* user.c - `posthouse user add|passwd|remove|list`: accounts. With a running relay its login role changes the file, asked over the
 * control socket; without one we take the lock of the state directory and do it ourselves, as the user that the relay becomes, so that
 * no file in there ever belongs to root. A password never leaves this process: only its verifier does. */
#include "user.h"

#include "cli.h"

#include "posthouse/accounts.h"
#include "posthouse/log.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_MAX 1024

struct user_command {
	struct config *config;
	struct control *control; /* NULL: no relay runs, we hold the lock */
	struct arena arena;
	const char *state_dir;
	enum account_operation operation;
	struct str name, device, shown; /* `shown` is name/device for people */
	struct secret password;
};

/* ---- passwords ---- */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal)
{
	interrupted = signal;
}

/* One line from a descriptor, byte by byte: what follows it is not ours. */
static bool read_line(int fd, struct secret *line_out)
{
	char line[PASSWORD_MAX + 1];
	size_t n = 0;
	ssize_t got = 0;

	while (n < sizeof(line) && (got = read(fd, line + n, 1)) == 1 && line[n] != '\n')
		n++;
	if (n && n < sizeof(line) && line[n - 1] == '\r')
		n--;
	if (n <= PASSWORD_MAX)
		secret_set(line_out, str_make(line, n));
	wipe(line, sizeof(line));
	return n > 0 && n <= PASSWORD_MAX && !interrupted && got >= 0;
}

bool read_password_line(struct secret *password_out)
{
	return read_line(STDIN_FILENO, password_out);
}

/* Ask at the terminal, without showing what is typed. */
static bool ask(int tty, const char *question, struct secret *answer_out)
{
	struct sigaction action = { .sa_handler = on_interrupt }, old[3];
	static const int signals[] = { SIGINT, SIGTERM, SIGQUIT };
	struct termios shown, hidden;
	bool answered;

	if (tcgetattr(tty, &shown) != 0)
		return false;
	hidden = shown;
	hidden.c_lflag &= ~(tcflag_t)ECHO;
	for (size_t i = 0; i < 3; i++) /* the terminal must not be left mute */
		sigaction(signals[i], &action, &old[i]);
	dprintf(tty, "%s", question);
	answered = tcsetattr(tty, TCSAFLUSH, &hidden) == 0 && read_line(tty, answer_out);
	tcsetattr(tty, TCSAFLUSH, &shown);
	dprintf(tty, "\n");
	for (size_t i = 0; i < 3; i++)
		sigaction(signals[i], &old[i], NULL);
	if (interrupted)
		raise(interrupted);
	return answered;
}

static void ask_twice(struct secret *password_out)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct secret again = { 0 };

	if (tty < 0)
		die(EX_NOINPUT, "no terminal to ask for the password: give it on standard input, or use --generate");
	if (!ask(tty, "Password: ", password_out) || !ask(tty, "Again: ", &again))
		die(EX_NOINPUT, "no password was given");
	if (!same_secret(secret_view(password_out), secret_view(&again)))
		die(EX_DATAERR, "the two passwords differ");
	secret_fini(&again);
	close(tty);
}

static void get_password(struct secret *password_out, bool generate, bool from_stdin)
{
	if (generate) {
		if (account_generate_password(password_out).class != OK)
			die(EX_OSERR, "no random numbers");
	} else if (from_stdin || !isatty(STDIN_FILENO)) {
		if (!read_password_line(password_out))
			die(EX_NOINPUT, "expected a password of at most %d bytes on the first line of standard input",
			    PASSWORD_MAX);
	} else {
		ask_twice(password_out);
	}
}

/* ---- with the relay, or without ---- */
bool become_user(const struct passwd *user)
{
	return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0;
}

/* The state directory as it would be after the first start. */
static void make_state_dir(const char *path, const struct passwd *user)
{
	if (mkdir(path, 0700) == 0) {
		if (user && chown(path, user->pw_uid, user->pw_gid) != 0)
			die(EX_CANTCREAT, "%s: %s", path, strerror(errno));
	} else if (errno != EEXIST) {
		die(errno == EACCES ? EX_NOPERM : EX_CANTCREAT, "%s: %s", path, strerror(errno));
	}
}

/* No relay runs: become its user and hold its lock until we end. */
static void take_over(struct user_command *u)
{
	const struct passwd *user = NULL;
	const char *run_as = arena_cstr(&u->arena, u->config->run_as);
	int fd;

	if (geteuid() == 0) {
		user = getpwnam(run_as);
		if (!user)
			die(EX_CONFIG, "run_as: there is no user \"%s\" on this machine", run_as);
	}
	make_state_dir(u->state_dir, user);
	if (user && !become_user(user))
		die(EX_OSERR, "cannot become %s: %s", run_as, strerror(errno));
	fd = open(arena_cstr(&u->arena, arena_printf(&u->arena, "%s/lock", u->state_dir)),
		  O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		die(errno == EACCES ? EX_NOPERM : EX_CANTCREAT, "%s/lock: %s", u->state_dir, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		die(EX_TEMPFAIL, "%s is in use, but no relay answers at %.*s: is it just starting or ending?", u->state_dir,
		    STR_ARG(u->config->control));
}

static void connect_or_take_over(struct user_command *u)
{
	const char *why;

	u->control = control_open(u->config->control, &why);
	if (u->control)
		return;
	if (errno != ENOENT && errno != ECONNREFUSED)
		die(errno == EACCES ? EX_NOPERM : EX_UNAVAILABLE, "%.*s: %s", STR_ARG(u->config->control), why);
	take_over(u);
}

/* ---- changing ---- */
/* The salt that another password of the account has: the new verifier must share it. Who may not read the file gets none, and the
 * relay's refusal if there is one. */
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
	struct msg_account_change m = { .operation = u->operation, .name = u->name, .device = u->device, .verifier = verifier };
	union ipc_message *answer;
	const char *why;

	if (!control_call(u->control, MSG_account_change, &m, MSG_account_changed, &u->arena, &answer, &why))
		die(EX_UNAVAILABLE, "%s", why);
	return answer->account_changed.verdict;
}

static struct verdict change_here(struct user_command *u, struct str verifier)
{
	struct verdict v;
	struct accounts *accounts = accounts_open(u->state_dir, &v);

	if (accounts)
		v = verdict_keep(&u->arena, accounts_change(accounts, u->operation, u->name, u->device, verifier));
	accounts_close(accounts);
	return v;
}

/* The verifier, if any, and the change; once more when the account got another password meanwhile. */
static struct verdict change(struct user_command *u)
{
	struct str verifier = str_of(""), shared = str_of("");
	struct verdict v;

	for (int attempt = 0; attempt < 2; attempt++) {
		if (u->operation != ACCOUNT_REMOVE) {
			struct str now = shared_verifier(u);

			if (attempt && str_eq(now, shared))
				break;
			shared = now;
			v = account_verifier(&u->arena, shared, secret_view(&u->password), &verifier);
			if (v.class != OK)
				return v;
		}
		v = u->control ? change_by_relay(u, verifier) : change_here(u, verifier);
		if (v.class != PERM || u->operation == ACCOUNT_REMOVE)
			break;
	}
	return v;
}

static int exit_code(struct verdict v)
{
	if (v.class == OK)
		return EX_OK;
	if (v.class == TEMP)
		return EX_TEMPFAIL;
	return str_eq(v.enhanced, S("5.1.1")) ? EX_NOUSER : EX_DATAERR;
}

static int run_change(struct user_command *u, bool generated)
{
	static const char *const done[] = {
		[ACCOUNT_ADD] = "added", [ACCOUNT_PASSWD] = "has a new password", [ACCOUNT_REMOVE] = "removed"
	};
	struct verdict v;

	connect_or_take_over(u);
	v = change(u);
	if (v.class != OK) {
		fprintf(stderr, "posthouse: %.*s: %.*s\n", STR_ARG(u->shown), STR_ARG(printable(&u->arena, v.text)));
		return exit_code(v);
	}
	fprintf(stderr, "%.*s %s\n", STR_ARG(u->shown), done[u->operation]);
	if (generated)
		printf("%.*s\n", STR_ARG(secret_view(&u->password)));
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

/* ---- listing ---- */
static void print_account(struct user_command *u, bool as_json, struct str name, struct str device, uint64_t created_at)
{
	struct str created = time_text(&u->arena, created_at);
	struct str login = device.n ? arena_printf(&u->arena, "%.*s/%.*s", STR_ARG(name), STR_ARG(device)) : name;

	if (u->name.n && !str_eq(u->name, name))
		return;
	if (as_json)
		json_print(json_pack("{s:o,s:o,s:o,s:I}", "login", json_text(login), "account", json_text(name), "device",
				     json_text(device), "created_at", (json_int_t)created_at));
	else
		printf("%-40.*s %.*s\n", STR_ARG(printable(&u->arena, login)), STR_ARG(created));
}

static struct verdict list_by_relay(struct user_command *u, bool as_json)
{
	struct msg_account_page m = { 0 };
	union ipc_message *answer;
	const char *why;

	do {
		if (!control_call(u->control, MSG_account_page, &m, MSG_accounts, &u->arena, &answer, &why))
			die(EX_UNAVAILABLE, "%s", why);
		for (size_t i = 0; i < answer->accounts.rows.n; i++) {
			const struct rec_account *row = &answer->accounts.rows.at[i];

			print_account(u, as_json, row->name, row->device, row->created_at);
		}
		m.cursor = answer->accounts.cursor;
	} while (answer->accounts.verdict.class == OK && m.cursor);
	return answer->accounts.verdict;
}

static struct verdict list_here(struct user_command *u, bool as_json)
{
	struct verdict v;
	struct accounts *accounts = accounts_open(u->state_dir, &v);

	for (size_t i = 0; accounts && i < accounts_count(accounts); i++) {
		const struct account *row = accounts_at(accounts, i);

		print_account(u, as_json, row->name, row->device, row->created_at);
	}
	accounts_close(accounts);
	return v;
}

static int run_list(struct user_command *u, bool as_json)
{
	struct verdict v;

	connect_or_take_over(u);
	v = u->control ? list_by_relay(u, as_json) : list_here(u, as_json);
	if (v.class != OK)
		fprintf(stderr, "posthouse: %.*s\n", STR_ARG(printable(&u->arena, v.text)));
	return exit_code(v);
}

/* ---- the command ---- */
static int usage(void)
{
	fprintf(stderr, "usage: posthouse [-c FILE] user add|passwd NAME[/DEVICE] [--generate | --stdin]\n"
			"       posthouse [-c FILE] user remove NAME[/DEVICE]\n"
			"       posthouse [-c FILE] user list [NAME] [--json]\n"
			"The password is asked for at the terminal, or read from the first line of standard input.\n");
	return EX_USAGE;
}

/* Only a few keys are needed: a file with faults elsewhere must not keep anybody from removing an account. */
static void load(struct user_command *u, const char *config_path)
{
	struct config_faults faults = { 0 };

	u->config = config_load(config_path, &faults);
	if (u->config->state_dir.n == 0 || u->config->control.n == 0 || u->config->auth.realm.n == 0)
		die(EX_CONFIG, "%s cannot be used: `posthouse -c %s check` says more", config_path, config_path);
	u->state_dir = arena_cstr(&u->arena, u->config->state_dir);
}

static void read_name(struct user_command *u, const char *text)
{
	if (!account_parse_name(&u->arena, str_of(text), u->config->auth.realm, &u->name, &u->device))
		die(EX_USAGE, "expected a name like alice, alice@example.org or alice/phone, without spaces and ':'");
	u->shown = u->device.n ? arena_printf(&u->arena, "%.*s/%.*s", STR_ARG(u->name), STR_ARG(u->device)) : u->name;
}

int command_user(int argc, char **argv, const char *config_path)
{
	static const char *const operations[] = {
		[ACCOUNT_ADD] = "add", [ACCOUNT_PASSWD] = "passwd", [ACCOUNT_REMOVE] = "remove"
	};
	struct user_command u = { 0 };
	bool as_json = take_flag(&argc, argv, "--json"), generate = take_flag(&argc, argv, "--generate");
	bool from_stdin = take_flag(&argc, argv, "--stdin"), list;
	int code;

	if (argc < 2 || argc > 3 || (generate && from_stdin))
		return usage();
	list = strcmp(argv[1], "list") == 0;
	for (int i = ACCOUNT_ADD; i <= ACCOUNT_REMOVE; i++)
		if (strcmp(argv[1], operations[i]) == 0)
			u.operation = (enum account_operation)i;
	if (list ? generate || from_stdin : !u.operation || argc != 3 || as_json)
		return usage();
	if (u.operation == ACCOUNT_REMOVE && (generate || from_stdin))
		return usage();
	load(&u, config_path);
	if (argc == 3)
		read_name(&u, argv[2]);
	if (u.operation == ACCOUNT_ADD || u.operation == ACCOUNT_PASSWD)
		get_password(&u.password, generate, from_stdin);
	code = list ? run_list(&u, as_json) : run_change(&u, generate);
	control_close(u.control);
	secret_fini(&u.password);
	config_free(u.config);
	arena_fini(&u.arena);
	return code;
}
