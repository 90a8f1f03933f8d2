/* watch.c - ends sessions whose password has been changed, removed or has expired. Only submission knows which sessions are
 * logged in: it is asked when accounts have changed, and told which of its sessions are over. */
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/role.h"

#define LOOK_EACH_MS 1000

static void on_look(uv_timer_t *timer)
{
	watch_look(timer->data);
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

void watch_look(struct login *l)
{
	struct watch *w = &l->watch;
	bool over = w->next_expiry > 0 && clock_now_ms() >= w->next_expiry;

	login_refresh(l);
	if (!over && directory_generation(l->directory) == w->generation)
		return;
	w->generation = directory_generation(l->directory);
	w->next_expiry = directory_next_expiry(l->directory);
	for (unsigned i = 0; i < ROLE_PEERS_MAX; i++)
		ipc_send_logins_check(role_peer(l->role, ROLE_SUBMISSION, i), &(struct msg_logins_check){ 0 }, -1);
}

/* Without an account file nothing is known about passwords: sessions stay. */
void watch_present(struct login *l, struct channel *ch, const struct msg_login_present *m)
{
	if (!backend_is_ours(l->backend) || !directory_accounts(l->directory) ||
	    directory_stamp(l->directory, m->login, m->device) == m->stamp)
		return;
	ipc_send_login_over(ch, &(struct msg_login_over){ .session = m->session }, -1);
}
