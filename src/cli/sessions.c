/* sessions.c - `posthouse session list` and `posthouse session close`. Each submission process knows its own sessions. */
#include "sessions.h"

#include "columns.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#define WORKERS_MAX 64

/* The submission processes that run: their indices. */
static size_t find_workers(struct session *s, uint64_t workers[WORKERS_MAX])
{
	const struct msg_status_is *m = &session_ask(s, MSG_status, &(struct msg_status){ 0 }, MSG_status_is)->status_is;
	size_t n = 0;

	for (size_t i = 0; i < m->roles.n && n < WORKERS_MAX; i++)
		if (m->roles.at[i].role == ROLE_SUBMISSION)
			workers[n++] = m->roles.at[i].index;
	return n;
}

typedef void (*row_fn)(void *ctx, const struct rec_session *row);

static bool is_meant(const struct which_sessions *which, const struct rec_session *row)
{
	return (which->user.n == 0 || str_eq(which->user, row->login)) &&
	       (which->device.n == 0 || str_eq(which->device, row->device)) &&
	       (which->client.n == 0 || str_eq(which->client, row->client));
}

/* Each session that is meant. */
static uint64_t each(struct session *s, const struct which_sessions *which, row_fn row, void *ctx)
{
	uint64_t workers[WORKERS_MAX], count = 0;
	size_t n = find_workers(s, workers);

	for (size_t w = 0; w < n; w++) {
		struct msg_session_page ask = { .worker = workers[w] };

		do {
			const struct msg_sessions *m = &session_ask(s, MSG_session_page, &ask, MSG_sessions)->sessions;

			for (size_t i = 0; i < m->rows.n; i++) {
				if (!is_meant(which, &m->rows.at[i]))
					continue;
				count++;
				if (row)
					row(ctx, &m->rows.at[i]);
			}
			ask.cursor = m->cursor;
		} while (ask.cursor);
	}
	return count;
}

uint64_t sessions_count(struct session *s, const struct which_sessions *which)
{
	return each(s, which, NULL, NULL);
}

uint64_t sessions_close(struct session *s, const struct which_sessions *which, const char *reason, bool *all_out)
{
	uint64_t workers[WORKERS_MAX], count = 0;
	size_t n = find_workers(s, workers);

	*all_out = true;
	for (size_t w = 0; w < n; w++) {
		struct msg_session_close ask = { .worker = workers[w],
						 .session = which->session,
						 .user = which->user,
						 .device = which->device,
						 .client = which->client,
						 .reason = str_of(reason) };
		const struct msg_sessions_closed *m =
			&session_call(s, MSG_session_close, &ask, MSG_sessions_closed)->sessions_closed;

		if (m->verdict.class == OK)
			count += m->count;
		else
			*all_out = false;
	}
	return count;
}

/* ---- list ---- */

static const struct column columns[] = { { "SESSION" },     { "CLIENT" }, { "LOGIN" }, { "SINCE", true },
					 { "MAILS", true }, { "TLS" },    { "STATE" } };

struct listing {
	struct columns table;
	bool json;
	uint64_t now;
	size_t n;
};

static void print_row(void *ctx, const struct rec_session *r)
{
	struct listing *l = ctx;
	struct arena *a = l->table.arena;
	struct str login = r->device.n ? arena_printf(a, "%.*s/%.*s", STR_ARG(r->login), STR_ARG(r->device)) : r->login;
	const char *number = arena_cstr(a, arena_printf(a, "%llx", (unsigned long long)r->session));

	if (l->json) {
		json_print_document("session",
				    json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I, s:o}", "session", number, "client",
					      json_text(r->client), "login", json_text(r->login), "device", json_text(r->device),
					      "tls", json_text(r->tls), "since", json_time(r->since), "messages",
					      (json_int_t)r->messages, "state", json_text(r->state)));
	} else {
		columns_row(&l->table,
			    (struct str[]){ str_of(number), r->client, login.n ? login : S("-"), since_text(a, l->now, r->since),
					    arena_printf(a, "%llu", (unsigned long long)r->messages),
					    r->tls.n ? r->tls : S("none"), r->state });
	}
	l->n++;
}

/* ---- the command ---- */

static struct which_sessions read_which(struct session *s, const struct options *o)
{
	struct which_sessions which = { .client = str_of(options_value(o, "client")) };
	struct str user = str_of(options_value(o, "user"));
	size_t slash = str_find(user, '/');
	char *end = NULL;

	which.user = session_login(s, str_head(user, slash));
	which.device = str_from(user, slash + 1);
	if (o->arguments_n == 0)
		return which;
	which.session = strtoull(o->arguments[0], &end, 16);
	if (*end != '\0' || which.session == 0)
		die(EX_USAGE, "\"%s\" is no session: its number in `posthouse session list` was expected", o->arguments[0]);
	return which;
}

static int close_some(struct session *s, const struct which_sessions *which, const struct options *o)
{
	const char *reason = options_value(o, "reason");
	bool any = which->session || which->user.n || which->client.n, all;
	uint64_t count;

	if (any == options_given(o, "all"))
		die(EX_USAGE, "session close: which? A number, --user, --client, or --all");
	count = sessions_close(s, which, reason ? reason : "by the administrator", &all);
	if (options_given(o, "json"))
		json_print_document("changed", json_pack("{s:I, s:I}", "changed", (json_int_t)count, "in_flight", (json_int_t)0));
	else
		printf("%llu session%s closed\n", (unsigned long long)count, count == 1 ? "" : "s");
	if (!all)
		die(EX_TEMPFAIL, "a submission process did not answer");
	return which->session && count == 0 ? EX_DATAERR : EX_OK;
}

int command_session(const struct options *o, const char *config_path)
{
	struct which_sessions which;
	struct session s;
	struct listing l = { .json = options_given(o, "json"), .now = clock_now_ms() };
	int code = EX_OK;

	session_open(&s, config_path);
	which = read_which(&s, o);
	l.table = (struct columns){ .arena = &s.arena, .of = columns, .n = sizeof columns / sizeof columns[0] };
	if (strcmp(o->verb, "close") == 0) {
		code = close_some(&s, &which, o);
	} else {
		(void)each(&s, &which, print_row, &l);
		columns_print(&l.table, stdout, terminal_width());
		if (l.json)
			json_end(l.n, false);
		else
			printf(l.n ? "%zu sessions\n" : "no session\n", l.n);
	}
	session_close(&s);
	return code;
}
