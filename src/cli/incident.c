/* incident.c - `posthouse incident LOGIN`: what a stolen password asks for, in one go. The steps that can be done are done, also
 * when others fail: lock, end sessions, hold what waits; then what was sent, and what a person has to do next. */
#include "incident.h"
#include "sessions.h"

#include "posthouse/accounts.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/store.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#define SPAN_MS     DAY_MS
#define SHOWN       5 /* clients and subjects */
#define REASON      "incident"
#define LINE_MAX_80 78

struct incident {
	struct session session;
	struct arena arena; /* of what is said at the end */
	struct config *config;
	const char *typed; /* the login as it was named */
	struct str login, device;
	struct str passwords; /* "main, phone" */
	struct str hosts;     /* which send as it without a password; "": none */
	bool hosts_locked;    /* with all passwords of the login */
	bool ours, known, locked, all_sessions;
	struct str lock_fault; /* why it is not locked; "" */
	uint64_t sessions, held, in_flight;
	struct sent sent;
	bool has_sent;
};

/* ---- the steps ---- */

/* Which passwords the account has. */
static void read_passwords(struct incident *in)
{
	struct msg_account_page ask = { 0 };

	do {
		const struct msg_accounts *m = &session_call(&in->session, MSG_account_page, &ask, MSG_accounts)->accounts;

		for (size_t i = 0; i < m->rows.n; i++) {
			struct str device = m->rows.at[i].device;

			if (!str_eq(m->rows.at[i].name, in->login) || (in->device.n && !str_eq(device, in->device)))
				continue;
			in->passwords = arena_printf(&in->arena, "%.*s%s%.*s", STR_ARG(in->passwords),
						     in->passwords.n ? ", " : "", STR_ARG(device.n ? device : S("main")));
		}
		ask.cursor = m->verdict.class == OK ? m->cursor : 0;
	} while (ask.cursor);
}

/* Where it is locked instead. */
static struct str elsewhere(struct incident *in)
{
	static const struct {
		const char *backend, *how;
	} others[] = {
		{ "saslauthd", "where saslauthd looks (PAM: passwd -l; LDAP: in the directory)" },
		{ "ldapdb", "in the directory (pwdAccountLockedTime, or another password)" },
		{ "sasldb", "by saslpasswd2 -d NAME" },
		{ "sql", "in the database (another password)" },
	};
	struct str backend = in->config->auth.backend;

	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (str_eq(backend, str_of(others[i].backend)))
			return arena_printf(&in->arena, "lock it %s", others[i].how);
	return arena_printf(&in->arena, "lock it at its back-end, %.*s", STR_ARG(backend));
}

static void lock(struct incident *in)
{
	struct msg_account_change ask = {
		.operation = ACCOUNT_LOCK, .name = in->login, .device = in->device, .reason = S(REASON)
	};
	struct verdict v;

	in->ours = in->config->auth.backend.n == 0 || str_eq(in->config->auth.backend, S("accounts"));
	if (!in->ours) {
		in->lock_fault = elsewhere(in);
		return;
	}
	read_passwords(in);
	v = session_call(&in->session, MSG_account_change, &ask, MSG_account_changed)->account_changed.verdict;
	in->locked = v.class == OK;
	in->hosts_locked = in->locked && in->device.n == 0;
	in->known = in->locked || v.class == TEMP;
	if (v.class != OK)
		in->lock_fault = arena_str(&in->arena, v.text);
}

static void end_sessions(struct incident *in)
{
	struct which_sessions which = { .user = in->login, .device = in->device };
	uint64_t closed = sessions_close(&in->session, &which, REASON, &in->all_sessions);

	in->sessions = closed > in->sessions ? closed : in->sessions;
}

static void hold(struct incident *in)
{
	struct msg_queue_alter ask = { .operation = ALTER_HOLD, .reason = S(REASON), .user = in->login };

	do {
		const struct msg_queue_altered *m =
			&session_ask(&in->session, MSG_queue_alter, &ask, MSG_queue_altered)->queue_altered;

		in->held += m->count;
		in->in_flight += m->in_flight;
		ask.cursor = m->cursor;
	} while (ask.cursor);
}

/* ---- what is said ---- */

/* "1,204" */
static struct str number(struct incident *in, uint64_t n)
{
	if (n < 1000)
		return arena_printf(&in->arena, "%llu", (unsigned long long)n);
	return arena_printf(&in->arena, "%.*s,%03llu", STR_ARG(number(in, n / 1000)), (unsigned long long)(n % 1000));
}

/* "03:12", of today or yesterday. */
static struct str clock_text(struct incident *in, uint64_t ms)
{
	return str_head(str_from(time_text(&in->arena, ms), strlen("2026-11-21 ")), strlen("03:12"));
}

/* Words of a line that goes on in further ones. */
struct line {
	size_t column;
};

static void put(struct line *l, struct str words)
{
	if (l->column > 0 && l->column + words.n > LINE_MAX_80) {
		printf("\n      ");
		l->column = 6;
	}
	printf("%s%.*s", l->column == 0 || l->column == 6 ? "" : " ", STR_ARG(words));
	l->column += words.n + 1;
}

static void print_clients(struct incident *in)
{
	struct line l = { 0 };

	put(&l, S("  from"));
	for (size_t i = 0; i < in->sent.clients.n && i < SHOWN; i++) {
		const struct sent_group *g = &in->sent.clients.at[i];
		struct str with = S("");
		const char *comma = i + 1 < in->sent.clients.n ? "," : "";

		if (i == 0)
			with = arena_printf(&in->arena, ", password \"%.*s\", since %.*s",
					    STR_ARG(g->device.n ? utf8_shown(&in->arena, g->device) : S("main")),
					    STR_ARG(clock_text(in, g->since)));
		put(&l, arena_printf(&in->arena, "%.*s (%.*s%.*s)%s", STR_ARG(utf8_shown(&in->arena, g->name)),
				     STR_ARG(number(in, g->messages)), STR_ARG(with), comma));
	}
	if (in->sent.clients.n > SHOWN)
		put(&l, arena_printf(&in->arena, "%zu others", in->sent.clients.n - SHOWN));
	printf("\n");
}

static void print_subjects(struct incident *in)
{
	struct line l = { 0 };
	const struct sent_groups *all = &in->sent.subjects;
	size_t shown = all->n > 3 ? 2 : all->n;

	put(&l, S("  subjects:"));
	for (size_t i = 0; i < shown; i++)
		put(&l,
		    arena_printf(&in->arena, "\"%.*s\" (%.*s)%s", STR_ARG(utf8_shown(&in->arena, str_head(all->at[i].name, 60))),
				 STR_ARG(number(in, all->at[i].messages)), i + 1 < all->n ? "," : ""));
	if (all->n > shown)
		put(&l, arena_printf(&in->arena, "%.*s others", STR_ARG(number(in, all->n - shown))));
	printf("\n");
}

static void print_sent(struct incident *in)
{
	const struct sent *sent = &in->sent;

	if (sent->messages == 0) {
		printf("Last 24 h: nothing was sent\n");
		return;
	}
	printf("Last 24 h: %.*s message%s to %.*s recipient%s (%.*s new), %llu %% refused\n", STR_ARG(number(in, sent->messages)),
	       sent->messages == 1 ? "" : "s", STR_ARG(number(in, sent->distinct)), sent->distinct == 1 ? "" : "s",
	       STR_ARG(number(in, sent->new_ones)), (unsigned long long)(100 * sent->refused / sent->recipients));
	print_clients(in);
	print_subjects(in);
	printf("  already delivered %.*s, refused %.*s, waiting or held %.*s", STR_ARG(number(in, sent->delivered)),
	       STR_ARG(number(in, sent->refused)), STR_ARG(number(in, sent->waiting)));
	if (sent->removed)
		printf(", removed %.*s", STR_ARG(number(in, sent->removed)));
	printf("\nFull list:   posthouse find --user %s --since 24h --json > incident.json\n", in->typed);
}

/* What a person has to do, as commands where there are some. */
static struct str_list next_steps(struct incident *in)
{
	struct str_list all = { .at = ARENA_ARRAY(&in->arena, struct str, 6) };
	const struct sent_groups *clients = &in->sent.clients;
	struct str device = in->device.n ? in->device : clients->n ? clients->at[0].device : S("");

	all.at[all.n++] = S("find out how (phone lost? password used elsewhere?)");
	if (in->hosts.n > 0 && !in->hosts_locked)
		all.at[all.n++] = S("hosts still send as this login: take its entry of devices out; reload");
	if (!in->ours)
		all.at[all.n++] = in->lock_fault;
	else if (device.n > 0 && device.p[0] != '@')
		all.at[all.n++] =
			arena_printf(&in->arena, "posthouse user remove %.*s/%.*s; posthouse user passwd %.*s",
				     STR_ARG(str_head(str_of(in->typed), str_find(str_of(in->typed), '/'))), STR_ARG(device),
				     STR_ARG(str_head(str_of(in->typed), str_find(str_of(in->typed), '/'))));
	else
		all.at[all.n++] = arena_printf(&in->arena, "posthouse user passwd %s", in->typed);
	all.at[all.n++] = arena_printf(&in->arena, "posthouse queue list --user %.*s    then queue remove, or release",
				       STR_ARG(str_head(str_of(in->typed), str_find(str_of(in->typed), '/'))));
	if (in->ours)
		all.at[all.n++] =
			arena_printf(&in->arena, "posthouse user unlock %s; posthouse limits reset %s", in->typed, in->typed);
	all.at[all.n++] = S("posthouse doctor    (block lists: look again tomorrow)");
	return all;
}

static void print_all(struct incident *in)
{
	struct str_list next = next_steps(in);
	struct str shown =
		in->device.n ? arena_printf(&in->arena, "%.*s/%.*s", STR_ARG(in->login), STR_ARG(in->device)) : in->login;

	printf("Login %.*s %s; %llu session%s ended; %.*s message%s held.\n", STR_ARG(utf8_shown(&in->arena, shown)),
	       in->locked ? "locked" : "NOT LOCKED", (unsigned long long)in->sessions, in->sessions == 1 ? "" : "s",
	       STR_ARG(number(in, in->held)), in->held == 1 ? "" : "s");
	if (in->locked)
		printf("Its passwords (%.*s) stop working now.\n", STR_ARG(utf8_shown(&in->arena, in->passwords)));
	else
		printf("It cannot be locked here:\n  %.*s\n", STR_ARG(utf8_shown(&in->arena, in->lock_fault)));
	if (in->hosts_locked && in->hosts.n > 0)
		print_words(stdout,
			    arena_printf(&in->arena, "Hosts that need no password (%.*s) are refused too.", STR_ARG(in->hosts)),
			    0, 0);
	if (in->in_flight)
		printf("%.*s recipient%s being delivered to at this moment.\n", STR_ARG(number(in, in->in_flight)),
		       in->in_flight == 1 ? " is" : "s are");
	print_sent(in);
	for (size_t i = 0; i < next.n; i++)
		printf("%s %zu %.*s\n", i == 0 ? "Next:" : "     ", i + 1, STR_ARG(next.at[i]));
}

static json_t *groups_json(const struct sent_groups *groups, const char *name, bool clients)
{
	json_t *all = json_array();

	for (size_t i = 0; i < groups->n; i++) {
		const struct sent_group *g = &groups->at[i];
		json_t *one = json_pack("{s:o, s:I}", name, json_text(g->name), "messages", (json_int_t)g->messages);

		if (clients) {
			json_object_set_new(one, "device", json_text(g->device));
			json_object_set_new(one, "since", json_time(g->since));
		}
		json_array_append_new(all, one);
	}
	return all;
}

static void print_json(struct incident *in)
{
	const struct sent *sent = &in->sent;
	struct str_list next = next_steps(in);
	json_t *steps = json_array(), *j;

	for (size_t i = 0; i < next.n; i++)
		json_array_append_new(steps, json_text(next.at[i]));
	j = json_pack("{s:o, s:o, s:b, s:o, s:o, s:I, s:b, s:I, s:I}", "login", json_text(in->login), "device",
		      json_text(in->device), "locked", (int)in->locked, "lock_fault", json_text(in->lock_fault), "passwords",
		      json_text(in->passwords), "sessions", (json_int_t)in->sessions, "all_sessions", (int)in->all_sessions,
		      "held", (json_int_t)in->held, "in_flight", (json_int_t)in->in_flight);
	json_object_set_new(j, "hosts", json_text(in->hosts));
	json_object_set_new(j, "hosts_locked", json_boolean(in->hosts_locked));
	json_object_update_new(j, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "messages",
					    (json_int_t)sent->messages, "recipients", (json_int_t)sent->distinct, "new",
					    (json_int_t)sent->new_ones, "delivered", (json_int_t)sent->delivered, "refused",
					    (json_int_t)sent->refused, "waiting", (json_int_t)sent->waiting, "removed",
					    (json_int_t)sent->removed, "clients", groups_json(&sent->clients, "client", true),
					    "subjects", groups_json(&sent->subjects, "subject", false), "next", steps));
	json_print_document("incident", j);
	json_end(1, false);
}

/* ---- the command ---- */

static void read_login(struct incident *in, const char *text)
{
	struct str name, device;

	in->typed = text;
	if (!account_parse_name(&in->arena, str_of(text), in->session.realm, &name, &device))
		die(EX_USAGE, "expected a login like alice, alice@example.org or alice/phone");
	in->login = name;
	in->device = device;
	in->hosts = hosts_text(&in->arena, in->config, name, NULL);
}

int command_incident(const struct options *o, const char *config_path)
{
	struct config_faults faults = { 0 };
	struct incident in = { .all_sessions = true };
	uint64_t now = clock_now_ms();
	int code;

	session_open(&in.session, config_path);
	in.config = config_load(config_path, &faults);
	read_login(&in, o->arguments[0]);
	in.sessions = sessions_count(&in.session, &(struct which_sessions){ .user = in.login, .device = in.device });
	lock(&in);
	end_sessions(&in);
	hold(&in);
	in.sent = sent_read(&in.session, &in.arena, in.login, now > SPAN_MS ? now - SPAN_MS : 0);
	if (in.ours && !in.known && in.sessions == 0 && in.held == 0 && in.sent.messages == 0 && in.hosts.n == 0)
		die(EX_DATAERR, "there is no login %.*s", STR_ARG(utf8_shown(&in.arena, in.login)));
	if (options_given(o, "json"))
		print_json(&in);
	else
		print_all(&in);
	code = in.locked && in.all_sessions ? EX_OK : EX_TEMPFAIL;
	fflush(stdout);
	if (!in.locked)
		fprintf(stderr, "posthouse: not done: the lock (%.*s)\n", STR_ARG(utf8_shown(&in.arena, in.lock_fault)));
	if (!in.all_sessions)
		fprintf(stderr, "posthouse: not done: some sessions, since a submission process did not answer\n");
	config_free(in.config);
	session_close(&in.session);
	arena_fini(&in.arena);
	return code;
}
