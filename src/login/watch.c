/* watch.c - ends logins whose password has been changed, removed or has expired, and those of hosts and users that need no
 * password when their login is locked. queue knows who is logged in: it is asked when accounts have changed, and told which
 * logins are over. */
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/role.h"

#include <stdlib.h>

#define LOOK_EACH_MS 1000

/* A question to queue about its sessions. */
struct round {
	struct login *login;
	struct list link;
	bool checked;        /* it is answered */
	watch_done_fn *done; /* NULL: nobody waits */
	void *ctx;
};

static void on_look(uv_timer_t *timer)
{
	watch_look(timer->data);
	login_keep_uses(timer->data, false);
}

void watch_init(struct login *l)
{
	uv_timer_init(l->loop, &l->watch.timer);
	uv_unref((uv_handle_t *)&l->watch.timer); /* the timer does not keep the loop alive */
	l->watch.timer.data = l;
	list_init(&l->watch.rounds);
}

void watch_begin(struct login *l)
{
	if (backend_is_ours(l->backend)) /* other back-ends do not report a changed password */
		uv_timer_start(&l->watch.timer, on_look, LOOK_EACH_MS, LOOK_EACH_MS);
}

void watch_close(struct login *l)
{
	uv_close((uv_handle_t *)&l->watch.timer, NULL);
}

/* The rounds that have been answered are over when the sessions have ended that were told to: perhaps by another round, which
 * does not matter. */
static void end_rounds(struct login *l)
{
	if (l->watch.ending > 0)
		return;
	LIST_EACH_OF (struct round, r, &l->watch.rounds, link) {
		if (!r->checked)
			continue;
		list_remove(&r->link);
		if (r->done)
			r->done(r->ctx);
		free(r);
	}
}

static void on_checked(void *ctx, struct verdict v, const struct msg_logins_checked *m, int fd)
{
	struct round *r = ctx;

	r->checked = true;
	end_rounds(r->login);
}

static void ask_queue(struct login *l, watch_done_fn *done, void *ctx)
{
	struct round *r = NEW(struct round);

	*r = (struct round){ .login = l, .done = done, .ctx = ctx };
	list_append(&l->watch.rounds, &r->link);
	l->watch.generation = directory_generation(l->directory);
	l->watch.next_expiry = directory_next_expiry(l->directory);
	ipc_call_logins_check(role_peer(l->role, ROLE_QUEUE, 0), &(struct msg_logins_check){ 0 }, -1, on_checked, r);
}

void watch_queue_up(struct login *l)
{
	ask_queue(l, NULL, NULL);
}

/* Also when watch_look() has just seen the change: its questions are not answered yet. */
void watch_end_sessions(struct login *l, watch_done_fn *done, void *ctx)
{
	login_refresh(l);
	ask_queue(l, done, ctx);
}

void watch_look(struct login *l)
{
	struct watch *w = &l->watch;
	bool over = w->next_expiry > 0 && clock_now_ms() >= w->next_expiry;

	login_refresh(l);
	if (over || directory_generation(l->directory) != w->generation)
		ask_queue(l, NULL, NULL);
}

/* Locks of other back-ends are not known. */
static bool is_locked(const struct login *l, struct str name)
{
	return backend_is_ours(l->backend) && directory_is_locked(l->directory, name);
}

/* Without an account file nothing is known about passwords: sessions stay. */
bool watch_is_over(const struct login *l, struct str login, struct str device, uint64_t stamp)
{
	if (stamp == 0)
		return is_locked(l, login);
	return backend_is_ours(l->backend) && directory_accounts(l->directory) &&
	       directory_stamp(l->directory, login, device) != stamp;
}

static void on_ended(void *ctx, struct verdict v, const struct msg_login_ended *m, int fd)
{
	struct login *l = ctx;

	l->watch.ending--;
	end_rounds(l);
}

void watch_present(struct login *l, struct channel *ch, const struct msg_login_present *m)
{
	struct msg_login_over over = {
		.worker = m->worker, .incarnation = m->incarnation, .session = m->session, .stamp = m->stamp
	};

	if (!watch_is_over(l, m->login, m->device, m->stamp))
		return;
	l->watch.ending++;
	ipc_call_login_over(ch, &over, -1, on_ended, l);
}
