/* vouch.c - see vouch.h. submission knows the answer of the back-end only with that of queue: so it can neither invent a login
 * nor hide a failure, and a client does not learn whether a password was right that queue does not let in. */
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/role.h"

#define TURN_MS     100
#define VOUCHES_MAX 4000 /* more than honest submission processes ask at once */

static void on_authorized(void *ctx, struct verdict v, const struct msg_authorized *m, int fd);

void vouches_init(struct login *l)
{
	list_init(&l->vouches.open);
	uv_timer_init(l->loop, &l->vouches.timer);
	l->vouches.timer.data = l;
}

void vouches_close(struct login *l)
{
	uv_close((uv_handle_t *)&l->vouches.timer, NULL);
}

void vouch_drop(struct vouch *v)
{
	if (!v->login)
		return;
	ipc_cancel(v->call);
	v->call = 0;
	v->login->vouches.open_n -= !list_empty(&v->link);
	list_remove(&v->link);
	if (list_empty(&v->login->vouches.open))
		uv_timer_stop(&v->login->vouches.timer);
}

static void conclude(struct vouch *v, const struct msg_authorized *m)
{
	vouch_drop(v);
	v->done(v->ctx, m);
}

static void ask(struct vouch *v)
{
	v->again = false;
	v->generation = v->login->vouches.generation;
	v->call = ipc_call_authenticated(role_peer(v->login->role, ROLE_QUEUE, 0), &v->m, -1, on_authorized, v);
}

/* The accounts can have changed meanwhile. What queue is asked about them later, it hears later. */
static void ask_again(struct vouch *v)
{
	if (v->m.success && watch_is_over(v->login, v->m.login, v->m.device, v->m.stamp))
		conclude(v, NULL);
	else
		ask(v);
}

static void on_authorized(void *ctx, struct verdict v, const struct msg_authorized *m, int fd)
{
	struct vouch *w = ctx;
	const struct channel *queue = role_peer(w->login->role, ROLE_QUEUE, 0);

	w->call = 0;
	if (m && m->unknown)
		w->again = true; /* submission presents its sessions to a new queue */
	else if (m)
		conclude(w, m);
	else if (w->generation != w->login->vouches.generation)
		ask_again(w); /* the next queue is there already */
	else if (queue && channel_is_open(queue))
		conclude(w, NULL); /* the same queue is silent */
}

void vouches_queue_up(struct login *l)
{
	l->vouches.generation++;
	LIST_EACH_OF (struct vouch, v, &l->vouches.open, link)
		if (v->call == 0)
			ask_again(v);
}

static void on_turn(uv_timer_t *timer)
{
	struct login *l = timer->data;
	uint64_t now = clock_mono_ms();

	LIST_EACH_OF (struct vouch, v, &l->vouches.open, link) {
		if (now >= v->give_up_at)
			conclude(v, NULL);
		else if (v->call == 0 && v->again)
			ask_again(v);
	}
}

bool vouches_have_room(const struct login *l)
{
	return l->vouches.open_n < VOUCHES_MAX;
}

void vouch_begin(struct login *l, struct vouch *v)
{
	v->login = l;
	v->give_up_at = clock_mono_ms() + VOUCH_MS;
	list_append(&l->vouches.open, &v->link);
	l->vouches.open_n++;
	if (!uv_is_active((uv_handle_t *)&l->vouches.timer))
		uv_timer_start(&l->vouches.timer, on_turn, TURN_MS, TURN_MS);
	ask(v);
}
