/* upstream_list.c - `posthouse upstream list`: the file says which upstreams there are, the roles how they fare. */
#include "columns.h"
#include "upstream.h"

#include "posthouse/clock.h"
#include "posthouse/metrics.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

static const char *const providers[] = {
	[OAUTH_NONE] = "",
#define OAUTH(ID, name, ...) [OAUTH_##ID] = (name),
#include "posthouse/oauth.def"
};

/* What the roles say; NULL: the role does not answer. */
struct figures {
	const struct msg_stats_are *queue, *vault;
};

static const struct msg_stats_are *ask(struct session *s, enum role_id role)
{
	union ipc_message *m;
	const char *why;

	if (!control_call(s->control, MSG_stats, &(struct msg_stats){ .role = role }, MSG_stats_are, &s->arena, &m, &why))
		return NULL;
	return m->stats_are.verdict.class == OK ? &m->stats_are : NULL;
}

/* The figure of this upstream; NULL: there is none. */
static const struct rec_stat *find(const struct msg_stats_are *stats, enum metric metric, struct str label)
{
	for (size_t i = 0; stats && i < stats->stats.n; i++)
		if (stats->stats.at[i].metric == metric && str_eq(stats->stats.at[i].label, label))
			return &stats->stats.at[i];
	return NULL;
}

static unsigned port_of(const struct cfg_upstream *u)
{
	if (u->port > 0)
		return (unsigned)u->port;
	return u->tls == UPSTREAM_IMPLICIT ? 465 : 587;
}

/* "password, as me@example.org" */
static struct str login_text(struct arena *a, const struct cfg_upstream *u)
{
	if (u->oauth.provider != OAUTH_NONE)
		return arena_printf(a, "token (%s), as %.*s", providers[u->oauth.provider], STR_ARG(u->login));
	return u->login.n ? arena_printf(a, "password, as %.*s", STR_ARG(u->login)) : S("no login");
}

/* "works", "waits: …" or "a person must act: …" */
static struct str state_text(struct session *s, const struct figures *f, struct str name, uint64_t now)
{
	const struct rec_stat *token = find(f->vault, METRIC_VAULT_TOKEN, name);
	const struct rec_stat *gate =
		find(f->queue, METRIC_QUEUE_NEXTHOP_DOWN, arena_printf(&s->arena, "upstream:%.*s", STR_ARG(name)));

	if (token && token->value == 0 && token->text.n > 0)
		return token->text;
	if (gate && gate->value > 0)
		return arena_printf(&s->arena, "waits, next attempt in %.*s: %.*s",
				    STR_ARG(age_text(&s->arena, gate->value > now ? gate->value - now : 0)), STR_ARG(gate->text));
	if (token && token->value == 0)
		return S("waits for its first token");
	if (!f->queue)
		return S("not known: the queue does not answer");
	return gate && gate->text.n ? arena_printf(&s->arena, "works, %.*s", STR_ARG(gate->text)) : S("works");
}

/* "upstream:gmail 500/1d" is a limit of the upstream gmail. */
static bool is_limit_of(const struct rec_stat *t, struct str name)
{
	struct str gate = str_head(t->label, str_find(t->label, ' '));

	return t->metric == METRIC_QUEUE_NEXTHOP_USED && str_starts(gate, S("upstream:")) && str_eq(str_from(gate, 9), name);
}

static const struct column columns[] = { { "UPSTREAM" }, { "SERVER" }, { "LOGIN" }, { "STATE" } };

static void add_one(struct session *s, struct columns *table, const struct cfg_upstream *u, const struct figures *f, uint64_t now)
{
	struct arena *a = &s->arena;

	columns_row(table, (struct str[]){ u->name, arena_printf(a, "%.*s:%u", STR_ARG(u->host), port_of(u)), login_text(a, u),
					   state_text(s, f, u->name, now) });
	for (size_t i = 0; f->queue && i < f->queue->stats.n; i++)
		if (is_limit_of(&f->queue->stats.at[i], u->name))
			columns_text(table, 4,
				     arena_printf(a, "%llu used %.*s", (unsigned long long)f->queue->stats.at[i].value,
						  STR_ARG(f->queue->stats.at[i].text)));
}

static void print_json(struct session *s, const struct cfg_upstream *u, const struct figures *f, uint64_t now)
{
	const struct rec_stat *token = find(f->vault, METRIC_VAULT_TOKEN, u->name);
	struct str state = state_text(s, f, u->name, now);
	json_t *limits = json_array();

	for (size_t i = 0; f->queue && i < f->queue->stats.n; i++) {
		const struct rec_stat *t = &f->queue->stats.at[i];

		if (is_limit_of(t, u->name))
			json_array_append_new(limits,
					      json_pack("{s:I, s:o}", "used", (json_int_t)t->value, "text", json_text(t->text)));
	}
	json_print_document("upstream",
			    json_pack("{s:o, s:o, s:i, s:o, s:b, s:o, s:o, s:o}", "name", json_text(u->name), "host",
				      json_text(u->host), "port", (int)port_of(u), "login", json_text(login_text(&s->arena, u)),
				      "works", (int)str_starts(state, S("works")), "state", json_text(state), "token_valid_s",
				      token ? json_integer((json_int_t)token->value) : json_null(), "limits", limits));
}

int upstream_list(struct session *s, const struct config *c, bool json)
{
	struct figures f = { .queue = ask(s, ROLE_QUEUE), .vault = ask(s, ROLE_VAULT) };
	struct columns table = { .arena = &s->arena, .of = columns, .n = sizeof columns / sizeof columns[0] };
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < c->upstreams_n; i++) {
		if (json)
			print_json(s, &c->upstreams[i], &f, now);
		else
			add_one(s, &table, &c->upstreams[i], &f, now);
	}
	columns_print(&table, stdout, terminal_width());
	if (json)
		json_end(c->upstreams_n, false);
	else if (c->upstreams_n == 0)
		printf("no upstream is configured: mail goes to its recipients' own servers\n");
	return EX_OK;
}
