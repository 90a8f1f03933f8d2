/* overview.c - see overview.h. */
#include "overview.h"

/* Ask a role for its figures. Returns the number of answers to wait for. */
static size_t ask_role(struct session *s, struct overview *o, size_t i)
{
	struct msg_stats ask = { .role = o->relay->roles.at[i].role, .index = o->relay->roles.at[i].index };
	const char *why;

	o->calls[i] = control_send(s->control, MSG_stats, &ask, &why);
	return o->calls[i] != 0;
}

/* Ask all roles at once. console works, since it forwards these requests. queue is asked after its store has
 * answered: then its figures show the state of the disk now. */
static size_t ask_roles(struct session *s, struct overview *o)
{
	const struct msg_queue_page oldest = { .max = 1 };
	const char *why;
	size_t n = 0;

	for (size_t i = 0; i < o->health.n; i++) {
		o->roles[i].answers = o->roles[i].state.role == ROLE_CONSOLE;
		if (o->roles[i].state.role != ROLE_QUEUE)
			n += ask_role(s, o, i);
	}
	o->page_call = control_send(s->control, MSG_queue_page, &oldest, &why);
	return n + (o->page_call != 0);
}

/* Returns the number of further answers to wait for. */
static size_t take_answer(struct session *s, struct overview *o, enum msg_type type, const union ipc_message *m)
{
	size_t more = 0;

	for (size_t i = 0; type == MSG_stats_are && i < o->health.n; i++) {
		if (o->calls[i] != m->call || m->stats_are.verdict.class != OK)
			continue;
		o->roles[i].answers = true;
		o->roles[i].stats = m->stats_are.stats.at;
		o->roles[i].stats_n = m->stats_are.stats.n;
	}
	if (type != MSG_queue_rows || m->call != o->page_call)
		return 0;
	o->health.store_answers = m->queue_rows.verdict.class == OK;
	if (m->queue_rows.rows.n > 0)
		o->oldest_at = m->queue_rows.rows.at[0].received_at;
	for (size_t i = 0; i < o->health.n; i++)
		if (o->roles[i].state.role == ROLE_QUEUE)
			more += ask_role(s, o, i);
	return more;
}

void overview_look(struct session *s, struct overview *o)
{
	size_t waiting;

	*o = (struct overview){ .relay = &session_ask(s, MSG_status, &(struct msg_status){ 0 }, MSG_status_is)->status_is };
	o->health.n = o->relay->roles.n;
	o->roles = ARENA_ARRAY(&s->arena, struct role_told, o->health.n + 1);
	o->health.roles = o->roles;
	o->calls = ARENA_ARRAY(&s->arena, uint64_t, o->health.n + 1);
	for (size_t i = 0; i < o->health.n; i++)
		o->roles[i].state = o->relay->roles.at[i];
	for (waiting = ask_roles(s, o); waiting > 0; waiting--) {
		enum msg_type type;
		const char *why;
		const union ipc_message *m = control_next(s->control, &s->arena, &type, &why);

		if (!m)
			break;
		waiting += take_answer(s, o, type, m);
	}
}
