/* local.c - who a user of this machine is: his name from the system, his login from local.users, and whether that is locked. The
 * system is asked on a worker thread, since names can come from a directory service. */
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/local.h"
#include "posthouse/policy.h"
#include "posthouse/role.h"
#include "posthouse/units.h"

#include <stdio.h>
#include <stdlib.h>

#define KNOWN_MS   MINUTE_MS
#define ASKING_MAX 16 /* at once: logins need threads too */

/* A question of submission that a thread works on. */
struct asking {
	struct job job;
	struct login *login;
	struct list link;
	struct channel *ch; /* NULL: nobody waits */
	uint64_t call, uid;
	char name[sizeof((struct local_users *)0)->names[0].name]; /* "": it has none */
	struct arena arena;
	struct str system_names;
};

void local_users_init(struct login *l)
{
	list_init(&l->local.asking);
}

static void work(struct job *j)
{
	struct asking *q = CONTAINER_OF(j, struct asking, job);
	struct str name = machine_user_name(&q->arena, q->uid);

	if (name.n < sizeof q->name)
		memcpy(q->name, name.p, name.n);
	q->system_names = machine_system_users(&q->arena);
}

/* The name that is known; NULL: the system has to be asked. */
static const char *known_name(const struct login *l, uint64_t uid)
{
	uint64_t now = clock_mono_ms();
	size_t i = uid % LOCAL_NAMES;

	if (l->local.names[i].uid != uid || l->local.names[i].until <= now || l->local.system_until <= now)
		return NULL;
	return l->local.names[i].name;
}

static void remember(struct login *l, const struct asking *q)
{
	size_t i = q->uid % LOCAL_NAMES;

	l->local.names[i].uid = q->uid;
	l->local.names[i].until = l->local.system_until = clock_mono_ms() + KNOWN_MS;
	memcpy(l->local.names[i].name, q->name, sizeof q->name);
	arena_reset(&l->local.arena);
	l->local.system_names = arena_str(&l->local.arena, q->system_names);
}

static void answer(struct login *l, struct channel *ch, uint64_t call, uint64_t uid, const char *name)
{
	struct msg_local_user_is m = { .call = call, .system_users = l->local.system_names };
	struct arena a = { 0 };
	struct local_user u;

	local_user_of(l->config, &a, str_of(name), uid, &u);
	if (backend_is_ours(l->backend)) {
		login_refresh(l);
		if (directory_is_locked(l->directory, u.login))
			m.verdict = perm(554, S("5.7.1"), S("This login is locked"));
	}
	if (u.refused)
		m.verdict = perm(554, S("5.7.1"), S("This user is not allowed to send (local.users)"));
	m.name = u.name;
	m.login = u.login;
	m.sender = u.sender;
	ipc_send_local_user_is(ch, &m, -1);
	arena_fini(&a);
}

static void refuse(struct channel *ch, uint64_t call)
{
	ipc_send_local_user_is(
		ch,
		&(struct msg_local_user_is){
			.call = call,
			.verdict = temp(421, S("4.3.0"), S("The users of this machine are not known now, try again later")) },
		-1);
}

static void on_done(struct job *j, bool ran)
{
	struct asking *q = CONTAINER_OF(j, struct asking, job);
	struct login *l = q->login;

	if (ran)
		remember(l, q);
	if (q->ch && ran)
		answer(l, q->ch, q->call, q->uid, q->name);
	else if (q->ch)
		refuse(q->ch, q->call);
	list_remove(&q->link);
	l->local.asking_n--;
	role_busy(l->role, -1);
	arena_fini(&q->arena);
	free(q);
}

void local_user_ask(struct login *l, struct channel *ch, const struct msg_local_user *m)
{
	const char *name = known_name(l, m->uid);
	struct asking *q;

	if (name) {
		answer(l, ch, m->call, m->uid, name);
		return;
	}
	if (l->local.asking_n >= ASKING_MAX) {
		refuse(ch, m->call);
		return;
	}
	q = NEW(struct asking);
	*q = (struct asking){ .job = { .work = work, .done = on_done }, .login = l, .ch = ch, .call = m->call, .uid = m->uid };
	list_append(&l->local.asking, &q->link);
	l->local.asking_n++;
	role_busy(l->role, +1);
	workers_run(l->workers, &q->job);
}

void local_users_drop(struct login *l, const struct channel *ch)
{
	LIST_EACH (i, &l->local.asking) {
		struct asking *q = CONTAINER_OF(i, struct asking, link);

		if (!ch || q->ch == ch)
			q->ch = NULL;
	}
}
