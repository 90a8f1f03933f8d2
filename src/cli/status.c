/* status.c - `posthouse status`. */
#include "cli.h"
#include "columns.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/metrics.h"

#include <stdio.h>
#include <sysexits.h>

#define WITHIN_MS  1500 /* for the whole command: a monitor that uses it waits 2 s */
#define FAULTS_MAX 80

/* The answers of the relay, and the faults that follow from them. */
struct overview {
	const struct msg_status_is *relay;
	const struct msg_stats_are **stats; /* of each role; NULL: the role does not answer */
	uint64_t *calls, page_call;
	bool queue_answered; /* with data of its store: the process of queue can answer while its disk hangs */
	uint64_t oldest_at;  /* when the oldest message in the queue arrived, ms UTC; 0: the queue is empty */
	struct str faults[FAULTS_MAX];
	size_t faults_n;
};

static void add_fault(struct overview *o, struct str text)
{
	if (o->faults_n < FAULTS_MAX)
		o->faults[o->faults_n++] = text;
}

/* Ask a role for its figures. Returns the number of answers to wait for. */
static size_t ask_role(struct session *s, struct overview *o, size_t i)
{
	struct msg_stats ask = { .role = o->relay->roles.at[i].role, .index = o->relay->roles.at[i].index };
	const char *why;

	o->calls[i] = control_send(s->control, MSG_stats, &ask, &why);
	return o->calls[i] != 0;
}

/* Ask all roles at once, except console, which works since it forwards these requests. queue is asked after its store has
 * answered: then its figures show the state of the disk now. */
static size_t ask_roles(struct session *s, struct overview *o)
{
	const struct msg_queue_page oldest = { .max = 1 };
	const char *why;
	size_t n = 0;

	for (size_t i = 0; i < o->relay->roles.n; i++)
		if (o->relay->roles.at[i].role != ROLE_CONSOLE && o->relay->roles.at[i].role != ROLE_QUEUE)
			n += ask_role(s, o, i);
	o->page_call = control_send(s->control, MSG_queue_page, &oldest, &why);
	return n + (o->page_call != 0);
}

/* Returns the number of further answers to wait for. */
static size_t take_answer(struct session *s, struct overview *o, enum msg_type type, const union ipc_message *m)
{
	size_t more = 0;

	for (size_t i = 0; type == MSG_stats_are && i < o->relay->roles.n; i++)
		if (o->calls[i] == m->call && m->stats_are.verdict.class == OK)
			o->stats[i] = &m->stats_are;
	if (type != MSG_queue_rows || m->call != o->page_call)
		return 0;
	o->queue_answered = m->queue_rows.verdict.class == OK;
	if (m->queue_rows.rows.n > 0)
		o->oldest_at = m->queue_rows.rows.at[0].received_at;
	for (size_t i = 0; i < o->relay->roles.n; i++)
		if (o->relay->roles.at[i].role == ROLE_QUEUE)
			more += ask_role(s, o, i);
	return more;
}

static void look_for_faults(struct session *s, struct overview *o)
{
	for (size_t i = 0; i < o->relay->roles.n; i++) {
		const struct rec_role_state *r = &o->relay->roles.at[i];
		const char *name = role_name((enum role_id)r->role);
		const struct msg_stats_are *stats = o->stats[i];

		if (!r->ready)
			add_fault(o, arena_printf(&s->arena, "%s %llu is not ready", name, (unsigned long long)r->index));
		else if (!stats && r->role != ROLE_CONSOLE)
			add_fault(o, arena_printf(&s->arena, "%s %llu does not answer", name, (unsigned long long)r->index));
		for (size_t k = 0; stats && r->role == ROLE_QUEUE && k < stats->stats.n; k++)
			if (stats->stats.at[k].metric == METRIC_QUEUE_TAKES_MAIL && stats->stats.at[k].value == 0)
				add_fault(o, arena_printf(&s->arena, "the queue takes no mail: %.*s",
							  STR_ARG(stats->stats.at[k].text)));
	}
	if (!o->queue_answered)
		add_fault(o, S("the queue does not answer"));
}

/* A role that does not answer is a fault to print: status must work when other parts do not. */
static void look(struct session *s, struct overview *o)
{
	size_t waiting;

	o->relay = &session_ask(s, MSG_status, &(struct msg_status){ 0 }, MSG_status_is)->status_is;
	o->stats = ARENA_ARRAY(&s->arena, const struct msg_stats_are *, o->relay->roles.n + 1);
	o->calls = ARENA_ARRAY(&s->arena, uint64_t, o->relay->roles.n + 1);
	for (waiting = ask_roles(s, o); waiting > 0; waiting--) {
		enum msg_type type;
		const char *why;
		const union ipc_message *m = control_next(s->control, &s->arena, &type, &why);

		if (!m)
			break;
		waiting += take_answer(s, o, type, m);
	}
	look_for_faults(s, o);
}

/* Is a next hop tried again only at some time, for all mail or for that of one sender? */
static bool is_gate(const struct rec_stat *t)
{
	return t->metric == METRIC_QUEUE_NEXTHOP_DOWN || t->metric == METRIC_QUEUE_SENDER_PAUSED;
}

/* "down, next attempt in 3 m: 454 …"; the value is the time of that attempt. */
static void print_gate(struct arena *a, const struct rec_stat *t, uint64_t now)
{
	printf("  %-32.*s ", STR_ARG(utf8_shown(a, t->label)));
	if (t->value == 0)
		printf("works%s%.*s\n", t->text.n ? "  " : "", STR_ARG(utf8_shown(a, t->text)));
	else if (t->value > now)
		printf("down, next attempt in %.*s: %.*s\n", STR_ARG(age_text(a, t->value - now)),
		       STR_ARG(utf8_shown(a, t->text)));
	else
		printf("down, tried again now: %.*s\n", STR_ARG(utf8_shown(a, t->text)));
}

/* "12 used of 30/1m; the next one in 3 m" */
static void print_limit(struct arena *a, const struct rec_stat *t)
{
	struct str gate = str_head(t->label, str_rfind(t->label, ' '));

	printf("  %-32.*s %llu used %.*s\n", STR_ARG(utf8_shown(a, gate)), (unsigned long long)t->value,
	       STR_ARG(utf8_shown(a, t->text)));
}

static void print_next_hops(struct arena *a, const struct msg_stats_are *stats, uint64_t now)
{
	const char *title = "next hops\n";

	for (size_t i = 0; i < stats->stats.n; i++)
		if (is_gate(&stats->stats.at[i])) {
			printf("%s", title);
			print_gate(a, &stats->stats.at[i], now);
			title = "";
		}
	title = "limits of next hops\n";
	for (size_t i = 0; i < stats->stats.n; i++)
		if (stats->stats.at[i].metric == METRIC_QUEUE_NEXTHOP_USED) {
			printf("%s", title);
			print_limit(a, &stats->stats.at[i]);
			title = "";
		}
}

/* Logins whose mail is held, and the number of bans: an administrator has to look at these. */
static void print_trouble(struct arena *a, const struct msg_stats_are *stats)
{
	for (size_t i = 0; i < stats->stats.n; i++) {
		const struct rec_stat *t = &stats->stats.at[i];

		if (t->metric == METRIC_QUEUE_BREAKER)
			printf("mail of %.*s is held: %.*s\n", STR_ARG(utf8_shown(a, t->label)), STR_ARG(utf8_shown(a, t->text)));
		else if (t->metric == METRIC_QUEUE_BANNED_NETWORKS && t->value > 0)
			printf("banned for failed logins: %llu client networks\n", (unsigned long long)t->value);
		else if (t->metric == METRIC_QUEUE_BANNED_LOGINS && t->value > 0)
			printf("banned for failed logins: %llu logins\n", (unsigned long long)t->value);
	}
}

static struct str title(struct arena *a, const struct rec_stat *t)
{
	return metric_title(a, (enum metric)t->metric, t->label);
}

static const struct column columns[] = { { "ROLE" }, { "NO", true }, { "PROCESS" }, { "STATE" }, { "UP" } };

static void add_role(struct arena *a, struct columns *table, const struct rec_role_state *r, const struct msg_stats_are *stats,
		     uint64_t now)
{
	columns_row(table, (struct str[]){ str_of(role_name((enum role_id)r->role)),
					   arena_printf(a, "%llu", (unsigned long long)r->index),
					   arena_printf(a, "pid %llu", (unsigned long long)r->pid),
					   r->ready ? S("ready") : S("starting"),
					   arena_printf(a, "up %.*s", STR_ARG(since_text(a, now, r->started_at))) });
	for (size_t i = 0; stats && i < stats->stats.n; i++) {
		const struct rec_stat *t = &stats->stats.at[i];

		if (is_gate(t) || t->metric == METRIC_QUEUE_NEXTHOP_USED || t->metric == METRIC_QUEUE_BREAKER)
			continue; /* print_trouble() and print_next_hops() have shown it */
		columns_text(table, 4,
			     arena_printf(a, "%-32.*s %llu%s%.*s", STR_ARG(title(a, t)), (unsigned long long)t->value,
					  t->text.n ? "  " : "", STR_ARG(t->text)));
	}
}

/* Print faults first, then the next hops, because mail usually waits for one of these. */
static void print_status(struct session *s, const struct overview *o, uint64_t now)
{
	struct columns roles = { .arena = &s->arena, .of = columns, .n = sizeof columns / sizeof columns[0] };
	const struct msg_status_is *m = o->relay;

	printf("posthouse %.*s, up %.*s, configuration %llu\n", STR_ARG(m->version),
	       STR_ARG(since_text(&s->arena, now, m->started_at)), (unsigned long long)m->generation);
	for (size_t i = 0; i < o->faults_n; i++)
		printf("FAULT: %.*s\n", STR_ARG(utf8_shown(&s->arena, o->faults[i])));
	if (o->oldest_at)
		printf("the oldest message has been waiting for %.*s\n", STR_ARG(since_text(&s->arena, now, o->oldest_at)));
	else if (o->queue_answered)
		printf("no message waits\n");
	for (size_t i = 0; i < m->roles.n; i++)
		if (o->stats[i] && m->roles.at[i].role == ROLE_QUEUE) {
			print_trouble(&s->arena, o->stats[i]);
			print_next_hops(&s->arena, o->stats[i], now);
		}
	for (size_t i = 0; i < m->roles.n; i++)
		add_role(&s->arena, &roles, &m->roles.at[i], o->stats[i], now);
	columns_print(&roles, stdout, terminal_width());
}

/* A figure is a number always; what a role says of it beside is in `texts` under the same name. */
static json_t *role_json(struct session *s, const struct rec_role_state *r, const struct msg_stats_are *stats)
{
	json_t *figures = json_object(), *texts = json_object();

	for (size_t i = 0; stats && i < stats->stats.n; i++) {
		const struct rec_stat *t = &stats->stats.at[i];
		const char *name = arena_cstr(&s->arena, title(&s->arena, t));

		json_object_set_new(figures, name, json_integer((json_int_t)t->value));
		if (t->text.n)
			json_object_set_new(texts, name, json_text(t->text));
	}
	return json_pack("{s:s, s:I, s:I, s:b, s:b, s:o, s:o, s:o}", "role", role_name((enum role_id)r->role), "index",
			 (json_int_t)r->index, "pid", (json_int_t)r->pid, "ready", (int)r->ready, "answers",
			 stats || r->role == ROLE_CONSOLE, "started_at", json_time(r->started_at), "figures", figures, "texts",
			 texts);
}

static void print_status_json(struct session *s, const struct overview *o, uint64_t now)
{
	const struct msg_status_is *m = o->relay;
	json_t *roles = json_array(), *faults = json_array();

	for (size_t i = 0; i < m->roles.n; i++)
		json_array_append_new(roles, role_json(s, &m->roles.at[i], o->stats[i]));
	for (size_t i = 0; i < o->faults_n; i++)
		json_array_append_new(faults, json_text(o->faults[i]));
	json_print_document("status",
			    json_pack("{s:o, s:o, s:I, s:o, s:o, s:I, s:o}", "version", json_text(m->version), "started_at",
				      json_time(m->started_at), "generation", (json_int_t)m->generation, "faults", faults,
				      "oldest_at", json_time(o->oldest_at), "oldest_age_ms",
				      (json_int_t)(o->oldest_at && now > o->oldest_at ? now - o->oldest_at : 0), "roles", roles));
}

int command_status(const struct options *o, const char *config_path)
{
	struct overview all = { 0 };
	struct session s;
	int code;

	session_open_within(&s, config_path, WITHIN_MS);
	look(&s, &all);
	if (options_given(o, "json"))
		print_status_json(&s, &all, clock_now_ms());
	else
		print_status(&s, &all, clock_now_ms());
	code = all.faults_n > 0 ? EX_UNAVAILABLE : EX_OK;
	session_close(&s);
	return code;
}
