/* user.c - `posthouse user add|passwd|remove|lock|unlock|list`: accounts. */
#include "user.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

#define EXPIRY_MAX_MS (36500 * DAY_MS)

/* ---- changing ---- */
static int exit_code(struct verdict v)
{
	if (v.class == OK)
		return EX_OK;
	return v.class == TEMP ? EX_TEMPFAIL : EX_DATAERR;
}

static int run_change(struct user_command *u, bool generated)
{
	static const char *const done[] = {
		[ACCOUNT_ADD] = "added",          [ACCOUNT_PASSWD] = "has a new password",
		[ACCOUNT_REMOVE] = "removed",     [ACCOUNT_LOCK] = "is locked: its passwords fit no more, and its sessions end",
		[ACCOUNT_UNLOCK] = "is unlocked",
	};
	struct verdict v;

	connect_or_take_over(u);
	v = user_change(u);
	if (v.class != OK) {
		fprintf(stderr, "posthouse: %.*s: %.*s\n", STR_ARG(u->shown), STR_ARG(utf8_shown(&u->arena, v.text)));
		if (u->operation == ACCOUNT_LOCK && v.class == PERM && hosts_text(&u->arena, u->config, u->name, NULL).n > 0)
			fprintf(stderr,
				"posthouse: hosts send as it without a password: take its entry of devices out, and reload\n");
		return exit_code(v);
	}
	fprintf(stderr, "%.*s %s\n", STR_ARG(u->shown), done[u->operation]);
	if (generated)
		printf("%.*s\n", STR_ARG(secret_view(&u->password)));
	return fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

/* ---- listing ---- */
static const struct column columns[] = { { "LOGIN" }, { "MADE" }, { "USED" }, { "EXPIRES" }, { "LOCKED" }, { "HOSTS" } };

/* When the password expires, as text. */
static struct str expiry_text(struct user_command *u, uint64_t expires_at)
{
	if (expires_at == 0)
		return S("");
	return arena_printf(&u->arena, "%s %.*s", expires_at <= clock_now_ms() ? "expired" : "expires",
			    STR_ARG(time_text(&u->arena, expires_at)));
}

static struct str use_text(struct user_command *u, const struct rec_account *row)
{
	return row->used_at == 0 ? S("") : arena_printf(&u->arena, "used %.*s", STR_ARG(time_text(&u->arena, row->used_at)));
}

static struct str lock_text(struct user_command *u, const struct rec_account *row)
{
	if (row->locked_at == 0)
		return S("");
	return arena_printf(&u->arena, "locked %.*s%s%.*s", STR_ARG(time_text(&u->arena, row->locked_at)),
			    row->reason.n ? ": " : "", STR_ARG(row->reason));
}

/* Hosts that send as the login without a password; they are locked with it. They are said once, at its first password. */
static struct str hosts_of(struct user_command *u, const struct rec_account *row)
{
	struct str hosts = str_eq(row->name, u->last_name) ? S("") : hosts_text(&u->arena, u->config, row->name, NULL);

	u->last_name = arena_str(&u->arena, row->name);
	return hosts;
}

static void print_account(struct user_command *u, bool as_json, const struct rec_account *row)
{
	struct str name = row->name, device = row->device, hosts;
	struct str login = device.n ? arena_printf(&u->arena, "%.*s/%.*s", STR_ARG(name), STR_ARG(device)) : name;

	if (u->name.n && !str_eq(u->name, name))
		return;
	u->listed++;
	hosts = hosts_of(u, row);
	if (as_json)
		json_print_document("account",
				    json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "login", json_text(login), "account",
					      json_text(name), "device", json_text(device), "created_at",
					      json_time(row->created_at), "used_at", json_time(row->used_at), "expires_at",
					      json_time(row->expires_at), "locked_at", json_time(row->locked_at), "reason",
					      json_text(row->reason), "hosts", json_text(hosts)));
	else
		columns_row(&u->table, (struct str[]){ login, time_text(&u->arena, row->created_at), use_text(u, row),
						       expiry_text(u, row->expires_at), lock_text(u, row),
						       hosts.n ? arena_printf(&u->arena, "hosts %.*s", STR_ARG(hosts)) : hosts });
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

			print_account(u, as_json, row);
		}
		m.cursor = answer->accounts.cursor;
	} while (answer->accounts.verdict.class == OK && m.cursor);
	return answer->accounts.verdict;
}

static struct verdict list_here(struct user_command *u, bool as_json)
{
	struct verdict v;
	struct accounts *accounts = accounts_open(u->state_dir, &v);
	struct account_uses *uses = account_uses_open(u->state_dir, clock_now_ms());

	if (accounts && accounts_are_copied(accounts))
		fprintf(stderr, "posthouse: note: no relay runs here: these are the accounts as it had them last\n");
	for (size_t i = 0; accounts && i < accounts_count(accounts); i++) {
		const struct account *row = accounts_at(accounts, i);

		print_account(u, as_json,
			      &(struct rec_account){ .name = row->name,
						     .device = row->device,
						     .created_at = row->created_at,
						     .expires_at = row->expires_at,
						     .locked_at = row->locked_at,
						     .reason = row->reason,
						     .used_at = account_uses_find(uses, row->name, row->device).used_at });
	}
	account_uses_close(uses);
	accounts_close(accounts);
	return v;
}

static int run_list(struct user_command *u, bool as_json)
{
	struct verdict v;

	u->table = (struct columns){ .arena = &u->arena, .of = columns, .n = sizeof columns / sizeof columns[0] };
	connect_or_take_over(u);
	v = u->control ? list_by_relay(u, as_json) : list_here(u, as_json);
	columns_print(&u->table, stdout, terminal_width());
	if (v.class == OK && u->name.n > 0 && u->listed == 0)
		v = perm(550, S("5.1.1"), S("there is no such account"));
	if (v.class != OK)
		fprintf(stderr, "posthouse: %.*s\n", STR_ARG(utf8_shown(&u->arena, v.text)));
	else if (as_json)
		json_end(u->listed, false);
	return exit_code(v);
}

/* ---- the command ---- */
/* "90d" from now, or "never". */
static uint64_t read_expiry(const char *text)
{
	uint64_t ms;

	if (strcmp(text, "never") == 0)
		return 0;
	if (read_duration(str_of(text), EXPIRY_MAX_MS, &ms) && ms > 0)
		return clock_now_ms() + ms;
	die(EX_USAGE, "--expires wants a duration from now, such as 90d or 12h, at most 100 years, or never");
}

/* Warn when the configuration uses another back-end: then the account file is not asked. */
static void warn_of_backend(const struct user_command *u)
{
	struct str backend = u->config->auth.backend;

	if (backend.n && !str_eq(backend, S("accounts")))
		fprintf(stderr, "posthouse: note: auth.backend is \"%.*s\": logins are not checked against these accounts\n",
			STR_ARG(backend));
}

/* Only a few keys are needed: an administrator can remove an account although the file has faults elsewhere. */
static void load(struct user_command *u, const char *config_path)
{
	struct config_faults faults = { 0 };

	u->config = config_load(config_path, &faults);
	if (u->config->state_dir.n == 0 || u->config->control.n == 0)
		die(EX_CONFIG, "%s cannot be used: `%.*s check` says more", config_path,
		    STR_ARG(program_with(&u->arena, config_path)));
	u->state_dir = arena_cstr(&u->arena, u->config->state_dir);
}

static void read_name(struct user_command *u, const char *text)
{
	if (u->config->auth.realm.n == 0 && !strchr(text, '@'))
		die(EX_CONFIG, "give the whole name, such as %s@example.org: its realm cannot be read from the configuration",
		    text);
	if (!account_parse_name(&u->arena, str_of(text), u->config->auth.realm, &u->name, &u->device))
		die(EX_USAGE, "expected a name like alice, alice@example.org or alice/phone, without spaces and ':'");
	u->shown = u->device.n ? arena_printf(&u->arena, "%.*s/%.*s", STR_ARG(u->name), STR_ARG(u->device)) : u->name;
}

static void read_change(struct user_command *u, const struct options *o)
{
	static const char *const operations[] = { [ACCOUNT_ADD] = "add",
						  [ACCOUNT_PASSWD] = "passwd",
						  [ACCOUNT_REMOVE] = "remove",
						  [ACCOUNT_LOCK] = "lock",
						  [ACCOUNT_UNLOCK] = "unlock" };
	const char *expires = options_value(o, "expires");

	u->reason = str_of(options_value(o, "reason"));
	for (int i = ACCOUNT_ADD; i <= ACCOUNT_UNLOCK; i++)
		if (strcmp(o->verb, operations[i]) == 0)
			u->operation = (enum account_operation)i;
	if (options_given(o, "generate") && options_given(o, "stdin"))
		die(EX_USAGE, "user %s: --generate or --stdin, not both", o->verb);
	if (expires)
		u->expires_at = read_expiry(expires);
	else if (u->operation == ACCOUNT_PASSWD)
		u->expires_at = ACCOUNTS_KEEP_EXPIRY;
}

int command_user(const struct options *o, const char *config_path)
{
	struct user_command u = { 0 };
	bool list = strcmp(o->verb, "list") == 0, generate = options_given(o, "generate");
	int code;

	if (!list)
		read_change(&u, o);
	load(&u, config_path);
	warn_of_backend(&u);
	if (o->arguments_n > 0)
		read_name(&u, o->arguments[0]);
	if (u.operation == ACCOUNT_ADD || u.operation == ACCOUNT_PASSWD)
		get_password(&u.password, generate, options_given(o, "stdin"));
	code = list ? run_list(&u, options_given(o, "json")) : run_change(&u, generate);
	control_close(u.control);
	secret_fini(&u.password);
	config_free(u.config);
	arena_fini(&u.arena);
	return code;
}
