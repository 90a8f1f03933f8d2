/* user_names.c - tells login the names of users of this machine. The system is asked on a thread, since a directory service can
 * be silent. */
#include "master.h"

#include "posthouse/local.h"

#include <stdlib.h>

#define ASKING_MAX 16 /* at once: the threads have other work too */

struct question {
	uv_work_t work;
	struct master *master;
	uint64_t incarnation, call, uid; /* of the process that asks */
	struct arena arena;
	struct str name, system_users;
};

static size_t asking_n;

static void answer(struct channel *ch, uint64_t call, struct verdict v, const struct question *q)
{
	struct msg_user_is m = { .call = call, .verdict = v };

	if (q) {
		m.name = q->name;
		m.system_users = q->system_users;
	}
	ipc_send_user_is(ch, &m, -1);
}

static void ask(uv_work_t *work)
{
	struct question *q = CONTAINER_OF(work, struct question, work);

	q->name = machine_user_name(&q->arena, q->uid);
	q->system_users = machine_system_users(&q->arena);
}

/* The process that has asked can have ended meanwhile. */
static void on_asked(uv_work_t *work, int status)
{
	struct question *q = CONTAINER_OF(work, struct question, work);
	struct child *login = child_find(q->master, ROLE_LOGIN, 0);

	if (login->ch && login->incarnation == q->incarnation)
		answer(login->ch, q->call, ok(), q);
	asking_n--;
	arena_fini(&q->arena);
	free(q);
}

void user_ask(struct child *c, const struct msg_user_of *m)
{
	struct question *q;

	if (asking_n >= ASKING_MAX) {
		answer(c->ch, m->call, temp(421, S("4.3.0"), S("too many questions at once")), NULL);
		return;
	}
	q = NEW(struct question);
	*q = (struct question){ .master = c->master, .incarnation = c->incarnation, .call = m->call, .uid = m->uid };
	asking_n++;
	if (uv_queue_work(c->master->loop, &q->work, ask, on_asked) != 0)
		abort(); /* only an argument that is wrong makes it fail */
}
