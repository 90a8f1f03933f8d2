/* doctor_relay.c - what the running relay tells doctor: is it the one of this configuration, who has passwords, what waits. */
#include "doctor_machine.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/control.h"
#include "posthouse/metrics.h"
#include "posthouse/units.h"

#include <errno.h>

#define WITHIN_MS    5000
#define PAGES_MAX    100
#define WAITING_MAX  8
#define ROWS_MAX     500
#define WARN_DEFAULT (4 * HOUR_MS) /* when queue.warn_after is 0 */

struct talk {
	struct control *control;
	struct arena *a;
};

static union ipc_message *ask(struct talk *t, enum msg_type request, const void *message, enum msg_type reply)
{
	union ipc_message *answer;
	const char *why;

	return control_call(t->control, request, message, reply, t->a, &answer, &why) ? answer : NULL;
}

/* ---- relay.running ---- */

static void read_status(struct talk *t, const struct config *c, const struct msg_status_is *s, struct relay_facts *r)
{
	r->state = str_eq(s->version, S(POSTHOUSE_VERSION)) ? RELAY_RUNS : RELAY_OTHER;
	r->version = s->version;
	r->started_at = s->started_at;
	r->changed = !str_eq(s->source, config_fingerprint(c, t->a));
	r->waiting.at = ARENA_ARRAY(t->a, struct str, s->roles.n + 1);
	for (size_t i = 0; i < s->roles.n; i++)
		if (!s->roles.at[i].ready)
			r->waiting.at[r->waiting.n++] = str_of(role_name((enum role_id)s->roles.at[i].role));
}

/* ---- login.passwords ---- */

static void read_accounts(struct talk *t, struct machine_facts *m)
{
	struct msg_account_page page = { 0 };
	size_t capacity = 0;

	for (size_t i = 0; i < PAGES_MAX && !m->accounts.known; i++) {
		const union ipc_message *answer = ask(t, MSG_account_page, &page, MSG_accounts);

		if (!answer || answer->accounts.verdict.class != OK)
			return;
		for (size_t k = 0; k < answer->accounts.rows.n; k++) {
			const struct rec_account *row = &answer->accounts.rows.at[k];

			ARENA_GROW(t->a, m->accounts.at, m->accounts.n, capacity);
			m->accounts.at[m->accounts.n++] = (struct account_fact){ .name = row->name,
										 .device = row->device,
										 .created_at = row->created_at,
										 .expires_at = row->expires_at,
										 .used_at = row->used_at,
										 .tried_at = row->tried_at };
		}
		m->accounts.uses_since = answer->accounts.uses_since;
		page.cursor = answer->accounts.cursor;
		m->accounts.known = page.cursor == 0;
	}
}

/* ---- queue.waits ---- */

static struct waiting_fact *waiting_for(struct talk *t, struct machine_facts *m, struct str destination)
{
	for (size_t i = 0; i < m->waiting.n; i++)
		if (str_ieq(m->waiting.at[i].destination, destination))
			return &m->waiting.at[i];
	if (m->waiting.n == WAITING_MAX)
		return NULL;
	m->waiting.at[m->waiting.n] = (struct waiting_fact){ .destination = destination };
	return &m->waiting.at[m->waiting.n++];
}

/* What a person holds, or the sender wanted later, does not wait for anything of ours. */
static void read_waiting(struct talk *t, const struct config *c, struct machine_facts *m)
{
	struct msg_queue_page page = { .older_than_ms = c->queue.warn_after_ms ? c->queue.warn_after_ms : WARN_DEFAULT,
				       .max = ROWS_MAX };
	const union ipc_message *answer = ask(t, MSG_queue_page, &page, MSG_queue_rows);

	m->waiting.at = ARENA_ARRAY(t->a, struct waiting_fact, WAITING_MAX);
	m->waiting.known = answer && answer->queue_rows.verdict.class == OK;
	for (size_t i = 0; m->waiting.known && i < answer->queue_rows.rows.n; i++) {
		const struct rec_queue_row *row = &answer->queue_rows.rows.at[i];
		struct waiting_fact *w;

		if (row->held.n > 0 || row->release_at > clock_now_ms())
			continue;
		w = waiting_for(t, m, address_domain(row->recipient));
		if (!w)
			continue;
		if (w->n++ == 0 || row->received_at < w->received_at) {
			w->received_at = row->received_at;
			w->reply = row->reply;
		}
	}
}

/* ---- container.clients, sandbox.* ---- */

static void read_clients(const struct msg_stats_are *s, struct machine_facts *m)
{
	m->clients.known = true;
	for (size_t i = 0; i < s->stats.n; i++) {
		const struct rec_stat *stat = &s->stats.at[i];

		m->clients.all += stat->metric == METRIC_SUBMISSION_SESSIONS_OPENED ? stat->value : 0;
		m->clients.from_gateway += stat->metric == METRIC_SUBMISSION_SESSIONS_FROM_GATEWAY ? stat->value : 0;
	}
}

/* The other walls have exceptions: a role that needs files is in no empty directory, and not each kernel knows the latest. */
static void read_walls(struct arena *a, enum role_id role, const struct msg_stats_are *s, struct machine_facts *m)
{
	struct str missing = S("");
	bool any = false;

	for (size_t i = 0; i < s->stats.n; i++) {
		const struct rec_stat *stat = &s->stats.at[i];

		if (stat->metric != METRIC_ROLE_WALL ||
		    (!str_eq(stat->label, S("seccomp")) && !str_eq(stat->label, S("landlock"))))
			continue;
		any = true;
		if (stat->value == 0)
			missing = arena_printf(a, "%.*s%s%.*s", STR_ARG(missing), missing.n ? ", " : "", STR_ARG(stat->label));
	}
	if (any)
		m->walls.at[m->walls.n++] = (struct role_walls){ str_of(role_name(role)), missing };
}

static void read_roles(struct talk *t, const struct msg_status_is *s, struct machine_facts *m)
{
	m->walls.at = ARENA_ARRAY(t->a, struct role_walls, s->roles.n + 1);
	m->walls.user = s->roles.n > 0 ? s->roles.at[0].user : S("");
	for (size_t i = 0; i < s->roles.n; i++) {
		struct msg_stats of = { .role = s->roles.at[i].role, .index = s->roles.at[i].index };
		const union ipc_message *answer = ask(t, MSG_stats, &of, MSG_stats_are);

		if (!str_eq(s->roles.at[i].user, m->walls.user))
			m->walls.user = S("");
		if (!answer || answer->stats_are.verdict.class != OK)
			continue;
		read_walls(t->a, (enum role_id)of.role, &answer->stats_are, m);
		if (of.role == ROLE_SUBMISSION)
			read_clients(&answer->stats_are, m);
	}
}

/* ---- port25.open ---- */

static void read_reached(struct talk *t, const struct config *c, struct machine_facts *m)
{
	const struct msg_reached of = { .port = (uint64_t)c->delivery.port };
	const union ipc_message *answer = ask(t, MSG_reached, &of, MSG_reached_are);

	if (answer && answer->reached_are.verdict.class == OK) {
		m->reached.v4 = answer->reached_are.v4;
		m->reached.v6 = answer->reached_are.v6;
	}
}

void relay_gather(struct arena *a, const struct config *c, struct machine_facts *m)
{
	const char *why = "";
	struct talk t = { control_open(c->control, WITHIN_MS, &why), a };
	const union ipc_message *status;

	if (!t.control) {
		m->relay.state = errno == ENOENT || errno == ECONNREFUSED ? RELAY_ABSENT
				 : errno == EPROTO                        ? RELAY_OTHER
									  : RELAY_NOT_ASKED;
		m->relay.why = arena_str(a, str_of(why));
		return;
	}
	status = ask(&t, MSG_status, &(struct msg_status){ 0 }, MSG_status_is);
	if (status && status->status_is.verdict.class == OK) {
		read_status(&t, c, &status->status_is, &m->relay);
		read_accounts(&t, m);
		read_waiting(&t, c, m);
		read_roles(&t, &status->status_is, m);
		read_reached(&t, c, m);
	} else {
		m->relay.why = S("it does not answer");
	}
	control_close(t.control);
}
