/* status.c - `posthouse status` and `posthouse reload`. */
#include "cli.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"

#include <stdio.h>
#include <sysexits.h>

/* A role that does not answer is shown as such: status must work when things do not. */
static const struct msg_stats_are *role_stats(struct session *s, const struct rec_role_state *r)
{
	struct msg_stats ask = { .role = r->role, .index = r->index };
	union ipc_message *answer;
	const char *why;

	if (r->role == ROLE_CONSOLE)
		return NULL;
	if (!control_call(s->control, MSG_stats, &ask, MSG_stats_are, &s->arena, &answer, &why))
		die(EX_UNAVAILABLE, "%s", why);
	return answer->stats_are.verdict.class == OK ? &answer->stats_are : NULL;
}

/* A row of the queue's figures that speaks of a next hop, "gate upstream:isp" or "limit upstream:isp 30/1m": what follows the word. */
static bool is_about(const struct rec_stat *t, struct str word, struct str *rest_out)
{
	*rest_out = str_from(t->name, word.n);
	return str_starts(t->name, word);
}

/* "down, next attempt in 3 m: 454 …"; the value is the time of that attempt. */
static void print_gate(struct arena *a, struct str name, const struct rec_stat *t, uint64_t now)
{
	printf("  %-32.*s ", STR_ARG(printable(a, name)));
	if (t->value == 0)
		printf("works%s%.*s\n", t->text.n ? "  " : "", STR_ARG(printable(a, t->text)));
	else if (t->value > now)
		printf("down, next attempt in %.*s: %.*s\n", STR_ARG(age_text(a, t->value - now)),
		       STR_ARG(printable(a, t->text)));
	else
		printf("down, tried again now: %.*s\n", STR_ARG(printable(a, t->text)));
}

/* "12 used of 30/1m; the next one in 3 m" */
static void print_limit(struct arena *a, struct str name, const struct rec_stat *t)
{
	struct str gate = str_head(name, str_rfind(name, ' '));

	printf("  %-32.*s %llu used %.*s\n", STR_ARG(printable(a, gate)), (unsigned long long)t->value,
	       STR_ARG(printable(a, t->text)));
}

static void print_next_hops(struct arena *a, const struct msg_stats_are *stats, uint64_t now)
{
	const char *title = "next hops\n";
	struct str rest;

	for (size_t i = 0; i < stats->stats.n; i++)
		if (is_about(&stats->stats.at[i], S("gate "), &rest)) {
			printf("%s", title);
			print_gate(a, rest, &stats->stats.at[i], now);
			title = "";
		}
	title = "limits of next hops\n";
	for (size_t i = 0; i < stats->stats.n; i++)
		if (is_about(&stats->stats.at[i], S("limit "), &rest)) {
			printf("%s", title);
			print_limit(a, rest, &stats->stats.at[i]);
			title = "";
		}
}

/* Logins whose mail is held, and how many are banned: somebody has to look. */
static void print_trouble(struct arena *a, const struct msg_stats_are *stats)
{
	struct str rest;

	for (size_t i = 0; i < stats->stats.n; i++) {
		const struct rec_stat *t = &stats->stats.at[i];

		if (is_about(t, S("breaker:"), &rest))
			printf("mail of %.*s is held: %.*s\n", STR_ARG(printable(a, rest)), STR_ARG(printable(a, t->text)));
		else if (str_starts(t->name, S("banned_")) && t->value > 0)
			printf("banned for failed logins: %llu %s\n", (unsigned long long)t->value,
			       str_eq(t->name, S("banned_networks")) ? "client networks" : "logins");
	}
}

static void print_role(struct session *s, const struct rec_role_state *r, const struct msg_stats_are *stats, uint64_t now)
{
	struct str rest;

	printf("%-10s %2llu  pid %-7llu %-8s up %.*s\n", role_name((enum role_id)r->role), (unsigned long long)r->index,
	       (unsigned long long)r->pid, r->ready ? "ready" : "starting", STR_ARG(since_text(&s->arena, now, r->started_at)));
	for (size_t i = 0; stats && i < stats->stats.n; i++) {
		const struct rec_stat *t = &stats->stats.at[i];

		if (is_about(t, S("gate "), &rest) || is_about(t, S("limit "), &rest) || is_about(t, S("breaker:"), &rest))
			continue;
		printf("    %-32.*s %llu%s%.*s\n", STR_ARG(t->name), (unsigned long long)t->value, t->text.n ? "  " : "",
		       STR_ARG(printable(&s->arena, t->text)));
	}
}

/* The next hops first: that is where mail waits. */
static void print_status(struct session *s, const struct msg_status_is *m, uint64_t now)
{
	const struct msg_stats_are **stats = ARENA_ARRAY(&s->arena, const struct msg_stats_are *, m->roles.n + 1);

	printf("posthouse %.*s, up %.*s, configuration %llu\n", STR_ARG(m->version),
	       STR_ARG(since_text(&s->arena, now, m->started_at)), (unsigned long long)m->generation);
	for (size_t i = 0; i < m->roles.n; i++) {
		stats[i] = role_stats(s, &m->roles.at[i]);
		if (stats[i] && m->roles.at[i].role == ROLE_QUEUE) {
			print_trouble(&s->arena, stats[i]);
			print_next_hops(&s->arena, stats[i], now);
		}
	}
	for (size_t i = 0; i < m->roles.n; i++)
		print_role(s, &m->roles.at[i], stats[i], now);
}

static json_t *role_json(struct session *s, const struct rec_role_state *r)
{
	const struct msg_stats_are *stats = role_stats(s, r);
	json_t *figures = json_object();

	for (size_t i = 0; stats && i < stats->stats.n; i++) {
		const struct rec_stat *t = &stats->stats.at[i];
		const char *name = arena_cstr(&s->arena, t->name);

		json_object_set_new(figures, name,
				    t->text.n ? json_pack("{s:I, s:o}", "value", (json_int_t)t->value, "text", json_text(t->text))
					      : json_integer((json_int_t)t->value));
	}
	return json_pack("{s:s, s:I, s:I, s:b, s:I, s:o}", "role", role_name((enum role_id)r->role), "index",
			 (json_int_t)r->index, "pid", (json_int_t)r->pid, "ready", (int)r->ready, "started_at",
			 (json_int_t)r->started_at, "figures", figures);
}

int command_status(int argc, char **argv, const char *config_path)
{
	bool json = take_flag(&argc, argv, "--json");
	const struct msg_status_is *m;
	uint64_t now = clock_now_ms();
	struct session s;

	session_open(&s, config_path);
	m = &session_ask(&s, MSG_status, &(struct msg_status){ 0 }, MSG_status_is)->status_is;
	if (json) {
		json_t *roles = json_array();

		for (size_t i = 0; i < m->roles.n; i++)
			json_array_append_new(roles, role_json(&s, &m->roles.at[i]));
		json_print(json_pack("{s:o, s:I, s:I, s:o}", "version", json_text(m->version), "started_at",
				     (json_int_t)m->started_at, "generation", (json_int_t)m->generation, "roles", roles));
	} else {
		print_status(&s, m, now);
	}
	session_close(&s);
	return EX_OK;
}

int command_reload(int argc, char **argv, const char *config_path)
{
	struct session s;

	session_open(&s, config_path);
	session_ask(&s, MSG_reload, &(struct msg_reload){ 0 }, MSG_reloaded);
	printf("the configuration was reloaded\n");
	session_close(&s);
	return EX_OK;
}
