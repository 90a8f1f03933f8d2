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

static void print_role(struct session *s, const struct rec_role_state *r, uint64_t now)
{
	const struct msg_stats_are *stats = role_stats(s, r);

	printf("%-10s %2llu  pid %-7llu %-8s up %.*s\n", role_name((enum role_id)r->role), (unsigned long long)r->index,
	       (unsigned long long)r->pid, r->ready ? "ready" : "starting", STR_ARG(age_text(&s->arena, now - r->started_at)));
	for (size_t i = 0; stats && i < stats->stats.n; i++) {
		const struct rec_stat *t = &stats->stats.at[i];

		printf("    %-32.*s %llu%s%.*s\n", STR_ARG(t->name), (unsigned long long)t->value, t->text.n ? "  " : "",
		       STR_ARG(printable(&s->arena, t->text)));
	}
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
		printf("posthouse %.*s, up %.*s, configuration %llu\n", STR_ARG(m->version),
		       STR_ARG(age_text(&s.arena, now - m->started_at)), (unsigned long long)m->generation);
		for (size_t i = 0; i < m->roles.n; i++)
			print_role(&s, &m->roles.at[i], now);
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
