/* status.c - `posthouse status`. */
#include "columns.h"
#include "overview.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/metrics.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

#define DROPPED_LATE_MS (15 * MINUTE_MS) /* a file of the drop directory waits longer only when something is wrong */

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

/* Exceptions are for a time: an administrator has to take them out. */
static void print_exceptions(struct arena *a, const struct role_told *r)
{
	for (size_t i = 0; i < r->stats_n; i++)
		if (r->stats[i].metric == METRIC_RELAY_TLS_EXCEPTION)
			printf("exception: mail to %.*s goes without DANE and MTA-STS (tls, require = \"none\")\n",
			       STR_ARG(utf8_shown(a, r->stats[i].label)));
		else if (r->stats[i].metric == METRIC_QUEUE_TLS_EXCEPTION)
			printf("exception: mail by %.*s goes without DANE and MTA-STS (tls = \"none\")\n",
			       STR_ARG(r->stats[i].label));
}

/* "12 used of 30/1m; the next one in 3 m" */
static void print_limit(struct arena *a, const struct rec_stat *t)
{
	struct str gate = str_head(t->label, str_rfind(t->label, ' '));

	printf("  %-32.*s %llu used %.*s\n", STR_ARG(utf8_shown(a, gate)), (unsigned long long)t->value,
	       STR_ARG(utf8_shown(a, t->text)));
}

static void print_next_hops(struct arena *a, const struct role_told *r, uint64_t now)
{
	const char *title = "next hops\n";

	for (size_t i = 0; i < r->stats_n; i++)
		if (is_gate(&r->stats[i])) {
			printf("%s", title);
			print_gate(a, &r->stats[i], now);
			title = "";
		}
	title = "limits of next hops\n";
	for (size_t i = 0; i < r->stats_n; i++)
		if (r->stats[i].metric == METRIC_QUEUE_NEXTHOP_USED) {
			printf("%s", title);
			print_limit(a, &r->stats[i]);
			title = "";
		}
}

/* Logins whose mail is held, and the number of bans: an administrator has to look at these. */
/* Mail of programs on this machine. */
static void print_dropped(struct arena *a, const struct role_told *r, uint64_t now)
{
	for (size_t i = 0; i < r->stats_n; i++) {
		const struct rec_stat *t = &r->stats[i];

		if (t->metric == METRIC_PICKUP_OLDEST && t->value > 0 && t->value + DROPPED_LATE_MS < now)
			printf("the oldest file in the drop directory has been waiting for %.*s: the log has pickup.delayed\n",
			       STR_ARG(since_text(a, now, t->value)));
		else if (t->metric == METRIC_PICKUP_REFUSED && t->value > 0)
			printf("refused mail of programs on this machine: %llu files, kept in held, below local.drop\n",
			       (unsigned long long)t->value);
	}
}

static void print_trouble(struct arena *a, const struct role_told *r)
{
	for (size_t i = 0; i < r->stats_n; i++) {
		const struct rec_stat *t = &r->stats[i];

		if (t->metric == METRIC_QUEUE_BREAKER)
			printf("mail of %.*s is held: %.*s\n", STR_ARG(utf8_shown(a, t->label)), STR_ARG(utf8_shown(a, t->text)));
		else if (t->metric == METRIC_QUEUE_BANNED_NETWORKS && t->value > 0)
			printf("banned for failed logins: %llu client networks\n", (unsigned long long)t->value);
		else if (t->metric == METRIC_QUEUE_BANNED_LOGINS && t->value > 0)
			printf("banned for failed logins: %llu logins\n", (unsigned long long)t->value);
	}
}

/* The figure with this label; NULL: there is none. */
static const struct rec_stat *figure(const struct role_told *r, enum metric metric, const char *label)
{
	for (size_t i = 0; i < r->stats_n; i++)
		if (r->stats[i].metric == metric && str_eq(r->stats[i].label, str_of(label)))
			return &r->stats[i];
	return NULL;
}

/* "node 2 of 3, up; dead: 3 (mx3); database away for 3 m"; nothing where there is no cluster. */
static void print_node(struct arena *a, const struct role_told *r, uint64_t now)
{
	static const char *const states[] = { "up", "draining", "drained", "dead" };
	const struct rec_stat *node = figure(r, METRIC_QUEUE_NODE, ""), *away = figure(r, METRIC_QUEUE_DATABASE_AWAY, "");
	const struct rec_stat *differ = figure(r, METRIC_QUEUE_NODES_DIFFER, "");
	uint64_t n = 0;

	if (!node)
		return;
	for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
		n += figure(r, METRIC_QUEUE_NODES, states[i]) ? figure(r, METRIC_QUEUE_NODES, states[i])->value : 0;
	if (node->value == 0)
		printf("no node of the cluster so far");
	else
		printf("node %llu of %llu, %.*s", (unsigned long long)node->value, (unsigned long long)n,
		       STR_ARG(utf8_shown(a, node->text)));
	for (size_t i = 1; i < sizeof states / sizeof states[0]; i++) {
		const struct rec_stat *others = figure(r, METRIC_QUEUE_NODES, states[i]);

		if (others && others->text.n > 0)
			printf("; %s: %.*s", states[i], STR_ARG(utf8_shown(a, others->text)));
	}
	if (away && away->value > 0)
		printf("; %s for %.*s\nwhat is said of messages, limits and other nodes is as of %.*s",
		       away->text.n > 0 ? "without the database" : "database away", STR_ARG(since_text(a, now, away->value)),
		       STR_ARG(time_text(a, away->value)));
	printf("\n");
	if (differ && differ->value > 0)
		printf("another configuration than here: node %.*s\n", STR_ARG(utf8_shown(a, differ->text)));
}

static struct str title(struct arena *a, const struct rec_stat *t)
{
	return metric_title(a, (enum metric)t->metric, t->label);
}

/* Is it one of the long lists of role web, which repeat for programs what the rest of status and `queue summary` say? */
static bool is_for_programs(enum metric m)
{
	return metric_is_of_process(m) || m == METRIC_WEB_ROLE_UP || m == METRIC_WEB_DESTINATION || m == METRIC_WEB_AGE;
}

/* "7", or of a time "2026-11-29 20:15:00 UTC, 3 m ago". */
static struct str figure_text(struct arena *a, const struct rec_stat *t, uint64_t now)
{
	if (metric_facts[t->metric].unit != METRIC_UNIT_UNIX_MS)
		return arena_printf(a, "%llu", (unsigned long long)t->value);
	if (t->value == 0)
		return S("none");
	return t->value > now
		       ? arena_printf(a, "%.*s, in %.*s", STR_ARG(time_text(a, t->value)), STR_ARG(age_text(a, t->value - now)))
		       : arena_printf(a, "%.*s, %.*s ago", STR_ARG(time_text(a, t->value)), STR_ARG(age_text(a, now - t->value)));
}

/* One user for all: what a role that was broken into can do to the others is then refused by fewer walls. */
static void print_users(struct arena *a, const struct overview *o)
{
	for (size_t i = 1; i < o->health.n; i++)
		if (!str_eq(o->roles[i].state.user, o->roles[0].state.user))
			return;
	if (o->health.n > 1)
		printf("all roles run as %.*s: users of their own would keep them apart better, see posthouse-operation(7)\n",
		       STR_ARG(utf8_shown(a, o->roles[0].state.user)));
}

/* "seccomp, landlock 7, chroot, no new code, own user; without chroot" */
static struct str walls_text(struct arena *a, const struct role_told *r)
{
	struct str up = S(""), missing = S("");

	for (size_t i = 0; i < r->stats_n; i++) {
		const struct rec_stat *t = &r->stats[i];
		struct str *words = t->value ? &up : &missing;

		if (t->metric != METRIC_ROLE_WALL)
			continue;
		*words = arena_printf(a, "%.*s%s%.*s", STR_ARG(*words), words->n ? ", " : "", STR_ARG(utf8_shown(a, t->label)));
		if (t->value > 1)
			*words = arena_printf(a, "%.*s %llu", STR_ARG(*words), (unsigned long long)t->value);
	}
	if (up.n + missing.n == 0)
		return S("");
	return arena_printf(a, "walls: %.*s%s%.*s", STR_ARG(up.n ? up : S("none")), missing.n ? "; without " : "",
			    STR_ARG(missing));
}

static const struct column columns[] = { { "ROLE" }, { "NO", true }, { "PROCESS" }, { "USER" }, { "STATE" }, { "UP" } };

static void add_role(struct arena *a, struct columns *table, const struct role_told *r, uint64_t now)
{
	columns_row(table, (struct str[]){ str_of(role_name((enum role_id)r->state.role)),
					   arena_printf(a, "%llu", (unsigned long long)r->state.index),
					   arena_printf(a, "pid %llu", (unsigned long long)r->state.pid),
					   utf8_shown(a, r->state.user), r->state.ready ? S("ready") : S("starting"),
					   arena_printf(a, "up %.*s", STR_ARG(since_text(a, now, r->state.started_at))) });
	if (walls_text(a, r).n > 0)
		columns_text(table, 5, walls_text(a, r));
	for (size_t i = 0; i < r->stats_n; i++) {
		const struct rec_stat *t = &r->stats[i];

		if (is_gate(t) || t->metric == METRIC_QUEUE_NEXTHOP_USED || t->metric == METRIC_QUEUE_BREAKER ||
		    t->metric == METRIC_RELAY_TLS_EXCEPTION || t->metric == METRIC_QUEUE_TLS_EXCEPTION)
			continue; /* shown above */
		if (is_for_programs((enum metric)t->metric) || metric_is_bucket((enum metric)t->metric, t->label))
			continue;
		columns_text(table, 5,
			     arena_printf(a, "%-32.*s %.*s%s%.*s", STR_ARG(title(a, t)), STR_ARG(figure_text(a, t, now)),
					  t->text.n ? "  " : "", STR_ARG(t->text)));
	}
}

/* Print faults first, then the next hops, because mail usually waits for one of these. */
static void print_status(struct session *s, const struct overview *o, const struct str *faults, size_t faults_n, uint64_t now)
{
	struct columns roles = { .arena = &s->arena, .of = columns, .n = sizeof columns / sizeof columns[0] };
	const struct msg_status_is *m = o->relay;

	printf("posthouse %.*s, up %.*s, configuration %llu\n", STR_ARG(m->version),
	       STR_ARG(since_text(&s->arena, now, m->started_at)), (unsigned long long)m->generation);
	for (size_t i = 0; i < faults_n; i++)
		printf("FAULT: %.*s\n", STR_ARG(utf8_shown(&s->arena, faults[i])));
	if (o->oldest_at)
		printf("the oldest message has been waiting for %.*s\n", STR_ARG(since_text(&s->arena, now, o->oldest_at)));
	else if (o->health.store_answers)
		printf("no message waits\n");
	for (size_t i = 0; i < o->health.n; i++) {
		if (o->roles[i].state.role == ROLE_QUEUE) {
			print_node(&s->arena, &o->roles[i], now);
			print_trouble(&s->arena, &o->roles[i]);
			print_next_hops(&s->arena, &o->roles[i], now);
		}
		print_dropped(&s->arena, &o->roles[i], now);
		print_exceptions(&s->arena, &o->roles[i]);
	}
	print_users(&s->arena, o);
	for (size_t i = 0; i < o->health.n; i++)
		add_role(&s->arena, &roles, &o->roles[i], now);
	columns_print(&roles, stdout, terminal_width());
}

/* A figure is a number always; what a role says of it beside is in `texts` under the same name. */
static json_t *role_json(struct session *s, const struct role_told *r)
{
	json_t *figures = json_object(), *texts = json_object();

	for (size_t i = 0; i < r->stats_n; i++) {
		const struct rec_stat *t = &r->stats[i];
		const char *name = arena_cstr(&s->arena, title(&s->arena, t));

		if (metric_is_bucket((enum metric)t->metric, t->label))
			continue;
		json_object_set_new(figures, name, json_integer((json_int_t)t->value));
		if (t->text.n)
			json_object_set_new(texts, name, json_text(t->text));
	}
	return json_pack("{s:s, s:I, s:I, s:o, s:b, s:b, s:o, s:o, s:o}", "role", role_name((enum role_id)r->state.role), "index",
			 (json_int_t)r->state.index, "pid", (json_int_t)r->state.pid, "user", json_text(r->state.user), "ready",
			 (int)r->state.ready, "answers", (int)r->answers, "started_at", json_time(r->state.started_at), "figures",
			 figures, "texts", texts);
}

static void print_status_json(struct session *s, const struct overview *o, const struct str *lines, size_t lines_n, uint64_t now)
{
	const struct msg_status_is *m = o->relay;
	json_t *roles = json_array(), *faults = json_array();

	for (size_t i = 0; i < o->health.n; i++)
		json_array_append_new(roles, role_json(s, &o->roles[i]));
	for (size_t i = 0; i < lines_n; i++)
		json_array_append_new(faults, json_text(lines[i]));
	json_print_document("status",
			    json_pack("{s:o, s:o, s:I, s:o, s:o, s:I, s:o}", "version", json_text(m->version), "started_at",
				      json_time(m->started_at), "generation", (json_int_t)m->generation, "faults", faults,
				      "oldest_at", json_time(o->oldest_at), "oldest_age_ms",
				      (json_int_t)(o->oldest_at && now > o->oldest_at ? now - o->oldest_at : 0), "roles", roles));
}

int command_status(const struct options *o, const char *config_path)
{
	struct str faults[HEALTH_FAULTS_MAX];
	struct overview all;
	struct session s;
	size_t n;

	session_open_within(&s, config_path, OVERVIEW_MS);
	overview_look(&s, &all);
	n = health_faults(&s.arena, &all.health, faults);
	if (options_given(o, "json"))
		print_status_json(&s, &all, faults, n, clock_now_ms());
	else
		print_status(&s, &all, faults, n, clock_now_ms());
	session_close(&s);
	return n > 0 ? EX_UNAVAILABLE : EX_OK;
}
