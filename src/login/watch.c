/* watch.c - ends sessions whose password has been changed, removed or has expired, and those of hosts that need no password when
 * their login is locked. Only submission knows which sessions there are: it is asked when accounts have changed, and told which
 * of its sessions are over. */
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/role.h"

#include <stdlib.h>

#define LOOK_EACH_MS 1000

/* All submission processes are asked about their sessions. */
struct round {
	struct login *login;
	unsigned awaited;      /* answers */
	uint64_t overs_before; /* the sessions that were told to end before this round */
	watch_done_fn *done;   /* NULL: nobody waits */
	void *ctx;
};

static void on_checked(void *ctx, struct verdict v, const struct msg_logins_checked *m, int fd);

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

static void begin_round(struct round *r)
{
	struct login *l = r->login;

	r->overs_before = l->watch.overs;
	for (unsigned i = 0; i < ROLE_PEERS_MAX; i++) {
		struct channel *ch = role_peer(l->role, ROLE_SUBMISSION, i);

		if (!ch)
			continue;
		r->awaited++;
		ipc_call_logins_check(ch, &(struct msg_logins_check){ 0 }, -1, on_checked, r);
	}
}

static void end_round(struct round *r)
{
	if (r->done)
		r->done(r->ctx);
	free(r);
}

/* A process has named its sessions before it answers, and takes messages in their order. So where sessions were told to end in
 * this round, the answers to another round say that they have ended. */
static void on_checked(void *ctx, struct verdict v, const struct msg_logins_checked *m, int fd)
{
	struct round *r = ctx;

	if (--r->awaited > 0)
		return;
	if (r->done && r->login->watch.overs != r->overs_before)
		begin_round(r);
	if (r->awaited == 0)
		end_round(r);
}

static void ask_submission(struct login *l, watch_done_fn *done, void *ctx)
{
	struct round *r = NEW(struct round);

	r->login = l;
	r->done = done;
	r->ctx = ctx;
	l->watch.generation = directory_generation(l->directory);
	l->watch.next_expiry = directory_next_expiry(l->directory);
	begin_round(r);
	if (r->awaited == 0)
		end_round(r);
}

/* Also when watch_look() has just seen the change: its questions are not answered yet. */
void watch_end_sessions(struct login *l, watch_done_fn *done, void *ctx)
{
	login_refresh(l);
	ask_submission(l, done, ctx);
}

void watch_look(struct login *l)
{
	struct watch *w = &l->watch;
	bool over = w->next_expiry > 0 && clock_now_ms() >= w->next_expiry;

	login_refresh(l);
	if (over || directory_generation(l->directory) != w->generation)
		ask_submission(l, NULL, NULL);
}

/* Locks of other back-ends are not known. */
static bool is_locked(const struct login *l, struct str name)
{
	return backend_is_ours(l->backend) && directory_is_locked(l->directory, name);
}

/* Without an account file nothing is known about passwords: sessions stay. */
static bool is_over(const struct login *l, const struct msg_login_present *m)
{
	if (m->stamp == 0)
		return is_locked(l, m->login);
	return backend_is_ours(l->backend) && directory_accounts(l->directory) &&
	       directory_stamp(l->directory, m->login, m->device) != m->stamp;
}

void watch_host(struct login *l, struct channel *ch, const struct msg_host_check *m)
{
	struct msg_host_checked answer = { .call = m->call, .verdict = ok() };

	login_refresh(l);
	if (is_locked(l, m->login))
		answer.verdict = temp(421, S("4.7.0"), S("The login that this host sends as is locked"));
	ipc_send_host_checked(ch, &answer, -1);
}

void watch_present(struct login *l, struct channel *ch, const struct msg_login_present *m)
{
	if (!is_over(l, m))
		return;
	l->watch.overs++;
	ipc_send_login_over(ch, &(struct msg_login_over){ .session = m->session }, -1);
}
