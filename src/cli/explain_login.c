/* explain_login.c - `posthouse explain`: the login and its limits. */
#include "explain.h"

#include "posthouse/accounts.h"
#include "posthouse/clock.h"
#include "posthouse/policy.h"

#define FOUND_MAX 100 /* rows of a page */

/* ---- the login ---- */

/* An account as the relay or the file has it. */
struct found {
	bool known, unreadable;
	uint64_t expires_at, locked_at;
};

static bool is_login(struct str login, struct str name, struct str device)
{
	size_t slash = str_find(login, '/');

	return str_eq(str_head(login, slash), name) && str_eq(str_from(login, slash + 1), device);
}

static struct found ask_relay(struct explain *e)
{
	struct msg_account_page page = { 0 };
	struct found f = { .unreadable = true };
	union ipc_message *m;
	const char *why;

	do {
		if (!control_call(e->control, MSG_account_page, &page, MSG_accounts, &e->arena, &m, &why) ||
		    m->accounts.verdict.class != OK)
			return f;
		f.unreadable = false;
		for (size_t i = 0; i < m->accounts.rows.n; i++) {
			const struct rec_account *row = &m->accounts.rows.at[i];

			if (is_login(e->login, row->name, row->device))
				return (struct found){ true, false, row->expires_at, row->locked_at };
		}
		page.cursor = m->accounts.cursor;
	} while (page.cursor);
	return f;
}

static struct found read_file(struct explain *e)
{
	size_t slash = str_find(e->login, '/');
	struct found f = { 0 };
	struct verdict v;
	struct accounts *accounts = accounts_open(arena_cstr(&e->arena, e->c->state_dir), &v);
	const struct account *a =
		accounts ? accounts_find(accounts, str_head(e->login, slash), str_from(e->login, slash + 1)) : NULL;

	f.unreadable = !accounts;
	if (a)
		f = (struct found){ true, false, a->expires_at, a->locked_at };
	accounts_close(accounts);
	return f;
}

/* The row of limits with this key and rule ("messages" of any rate); the next one behind `after`. */
static const struct rec_limit_row *limit_row(const struct explain *e, struct str key, const char *rule,
					     const struct rec_limit_row *after)
{
	size_t i = after ? (size_t)(after - e->limits->rows.at) + 1 : 0;

	for (; e->limits && i < e->limits->rows.n; i++) {
		const struct rec_limit_row *row = &e->limits->rows.at[i];

		if (str_eq(row->key, key) && str_starts(row->rule, str_of(rule)))
			return row;
	}
	return NULL;
}

/* The ban of the login, or its breaker; NULL: it has none. */
static const struct rec_limit_row *trouble_row(const struct explain *e, struct str rule)
{
	for (size_t i = 0; i < e->limits->rows.n; i++)
		if (str_eq(e->limits->rows.at[i].rule, rule))
			return &e->limits->rows.at[i];
	return NULL;
}

static struct str own_key(struct explain *e)
{
	return arena_printf(&e->arena, "user:%.*s", STR_ARG(str_head(e->login, str_find(e->login, '/'))));
}

/* ", 2 of 5000 messages in 1h", or nothing */
static struct str use_text(struct explain *e)
{
	const struct rec_limit_row *row = limit_row(e, own_key(e), "messages ", NULL);
	struct str window;

	if (!row)
		return S("");
	window = str_from(row->rule, str_find(row->rule, '/') + 1);
	return arena_printf(&e->arena, ", %llu of %llu messages in %.*s", (unsigned long long)row->used,
			    (unsigned long long)row->amount, STR_ARG(window));
}

/* A login without an account that can send all the same, since hosts do so without a password. */
static void explain_hosts(struct explain *e, struct str hosts, size_t entry)
{
	explain_step(e, "login", EXPLAINED_OK, arena_printf(&e->arena, "devices[%zu]", entry),
		     arena_printf(&e->arena, "%.*s: no account, but these hosts send as it without a password:\n%.*s",
				  STR_ARG(e->login), STR_ARG(hosts)));
}

void explain_login(struct explain *e)
{
	struct str backend = e->c->auth.backend, name = e->login;
	size_t entry = 0;
	struct str hosts = hosts_text(&e->arena, e->c, name, &entry), too = S("");
	struct found f;

	if (backend.n > 0 && !str_eq(backend, S("accounts"))) {
		explain_step(e, "login", EXPLAINED_NONE, S(""),
			     arena_printf(&e->arena, "%.*s: %.*s knows its passwords%.*s", STR_ARG(name), STR_ARG(backend),
					  STR_ARG(use_text(e))));
		return;
	}
	f = e->control ? ask_relay(e) : read_file(e);
	if (hosts.n > 0)
		too = arena_printf(&e->arena, "\nwithout a password %s: %.*s", f.locked_at ? "neither" : "too", STR_ARG(hosts));
	if (f.unreadable)
		explain_step(e, "login", EXPLAINED_UNKNOWN, S(""),
			     arena_printf(&e->arena, "%.*s: the accounts cannot be read", STR_ARG(name)));
	else if (!f.known && e->local)
		explain_step(
			e, "login", EXPLAINED_OK, S(""),
			arena_printf(&e->arena, "%.*s: no account, and none is needed%.*s", STR_ARG(name), STR_ARG(use_text(e))));
	else if (!f.known && hosts.n > 0)
		explain_hosts(e, hosts, entry);
	else if (!f.known)
		explain_step(e, "login", EXPLAINED_REFUSED, S(""),
			     arena_printf(&e->arena, "%.*s: there is no such account", STR_ARG(name)));
	else if (f.locked_at > 0)
		explain_step(e, "login", EXPLAINED_REFUSED, S(""),
			     arena_printf(&e->arena, "%.*s: locked since %.*s%.*s", STR_ARG(name),
					  STR_ARG(time_text(&e->arena, f.locked_at)), STR_ARG(too)));
	else if (!e->local && f.expires_at > 0 && f.expires_at <= clock_now_ms())
		explain_step(e, "login", EXPLAINED_REFUSED, S(""),
			     arena_printf(&e->arena, "%.*s: the password has expired at %.*s", STR_ARG(name),
					  STR_ARG(time_text(&e->arena, f.expires_at))));
	else
		explain_step(e, "login", EXPLAINED_OK, S(""),
			     arena_printf(&e->arena, "%.*s: known%.*s%.*s", STR_ARG(name), STR_ARG(use_text(e)), STR_ARG(too)));
}

/* ---- limits ---- */

/* A limit of the login or of its device that is used up; new recipients are those of some messages only. NULL: none. */
static const struct rec_limit_row *full_row(struct explain *e)
{
	struct str keys[] = { own_key(e), arena_printf(&e->arena, "device:%.*s", STR_ARG(e->login)) };

	for (size_t k = 0; k < 2; k++)
		for (const struct rec_limit_row *row = NULL; (row = limit_row(e, keys[k], "", row));)
			if (row->amount > 0 && row->wait_ms > 0 && !str_starts(row->rule, S("new_recipients")))
				return row;
	return NULL;
}

static struct str full_text(struct explain *e, const struct rec_limit_row *row)
{
	return arena_printf(&e->arena, "%.*s: %llu of %llu used, the next one in %.*s", STR_ARG(row->rule),
			    (unsigned long long)row->used, (unsigned long long)row->amount,
			    STR_ARG(age_text(&e->arena, row->wait_ms < 1000 ? 1000 : row->wait_ms)));
}

/* Limits that do not depend on what was sent before. True: one of them refuses the message. */
static bool exceeds_fixed(struct explain *e)
{
	const struct cfg_limits *l = &e->c->limits;

	if (l->message_size > 0 && e->size > l->message_size) {
		explain_step(e, "limits", EXPLAINED_REFUSED, S(""),
			     arena_printf(&e->arena, "limits.message_size is %llu bytes", (unsigned long long)l->message_size));
		return true;
	}
	if (l->recipients_per_message > 0 && e->recipients.n > l->recipients_per_message) {
		explain_step(e, "limits", EXPLAINED_REFUSED, S(""),
			     arena_printf(&e->arena, "limits.recipients_per_message is %llu",
					  (unsigned long long)l->recipients_per_message));
		return true;
	}
	return false;
}

/* Does the history or the queue have mail of the login to this address? False in *known_out: the relay does not say. */
static bool was_written_to(struct explain *e, struct str address, bool *known_out)
{
	struct msg_find ask = { .user = str_head(e->login, str_find(e->login, '/')), .recipient = address, .max = FOUND_MAX };
	union ipc_message *m;
	const char *why;

	*known_out = false;
	do {
		if (!control_call(e->control, MSG_find, &ask, MSG_found, &e->arena, &m, &why) || m->found.verdict.class != OK)
			return false;
		for (size_t i = 0; i < m->found.rows.n; i++)
			if (str_ieq(m->found.rows.at[i].recipient, address))
				return *known_out = true;
		ask.phase = m->found.phase;
		ask.at = m->found.at;
		ask.position = m->found.position;
		ask.n = m->found.n;
	} while (ask.phase);
	*known_out = true;
	return false;
}

/* A line for each recipient, and how many are new. The history says less than queue knows when it decides, but it is what can be
 * asked for. */
static struct str new_text(struct explain *e, uint64_t *new_out)
{
	struct str text = S("");

	*new_out = 0;
	for (size_t i = 0; i < e->recipients.n; i++) {
		struct str address = e->recipients.at[i];
		bool known, before = was_written_to(e, address, &known);

		*new_out += known && !before;
		text = arena_printf(&e->arena, "%.*s\n%.*s %s", STR_ARG(text), STR_ARG(address),
				    before  ? "was written to before"
				    : known ? "is new, as far as the history goes back"
					    : "can be new: not known");
	}
	return text;
}

/* False: there is no limit of new recipients. */
static bool explain_new_recipients(struct explain *e, bool hold)
{
	const struct rec_limit_row *row = limit_row(e, own_key(e), "new_recipients ", NULL), *first = row;
	struct str each;
	uint64_t n;

	if (!row)
		return false;
	each = new_text(e, &n);
	for (; row; row = limit_row(e, own_key(e), "new_recipients ", row))
		if (n > 0 && row->used + n > row->amount) {
			explain_step(e, "limits", hold ? EXPLAINED_HELD : EXPLAINED_REFUSED, S(""),
				     arena_printf(&e->arena, "%.*s: %llu of %llu used, and %llu would be new%.*s",
						  STR_ARG(row->rule), (unsigned long long)row->used,
						  (unsigned long long)row->amount, (unsigned long long)n, STR_ARG(each)));
			return true;
		}
	explain_step(e, "limits", EXPLAINED_OK, S(""),
		     arena_printf(&e->arena, "not held; %llu of %llu new recipients used (%.*s)%.*s",
				  (unsigned long long)first->used, (unsigned long long)first->amount, STR_ARG(first->rule),
				  STR_ARG(each)));
	return true;
}

void explain_limits(struct explain *e)
{
	const struct rec_limit_row *row;
	struct user_limits limits;

	if (exceeds_fixed(e))
		return;
	limits_of_login(e->c, e->login, &limits);
	if (!e->limits) {
		explain_step(e, "limits", EXPLAINED_UNKNOWN, S(""),
			     e->control ? S("the queue does not answer") : S("no relay is running, so their use is not known"));
		return;
	}
	if ((row = trouble_row(e, S("ban"))) && row->wait_ms > 0) {
		explain_step(e, "limits", EXPLAINED_REFUSED, S(""),
			     arena_printf(&e->arena, "banned for %.*s: %.*s", STR_ARG(age_text(&e->arena, row->wait_ms)),
					  STR_ARG(row->text)));
		return;
	}
	if ((row = trouble_row(e, S("breaker")))) {
		explain_step(e, "limits", EXPLAINED_HELD, S(""), arena_printf(&e->arena, "breaker: %.*s", STR_ARG(row->text)));
		return;
	}
	row = full_row(e);
	if (row) {
		explain_step(e, "limits", limits.hold ? EXPLAINED_HELD : EXPLAINED_REFUSED, S(""), full_text(e, row));
		return;
	}
	if (!explain_new_recipients(e, limits.hold))
		explain_step(e, "limits", EXPLAINED_OK, S(""), S("not held"));
}
