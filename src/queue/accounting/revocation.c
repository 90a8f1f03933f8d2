/* revocation.c - logins that end before their sessions do: the login role says so when a password has changed or is gone, or
 * when a login is locked. The record ends at once, so that no further message of the session is taken; then submission ends the
 * session, and the login role hears that it is over. A ticket of that login is worth nothing from then on. */
#include "accounting/accounting.h"

#include <stdlib.h>

/* A login that has ended; submission ends its session. */
struct ending {
	struct list in_ending;
	struct channel *login; /* NULL: nobody waits for the answer */
	uint64_t call, asked;  /* the call of login; the one to submission */
};

/* Is there a password that can change, or a lock that can concern a session without one? */
static bool can_end(const struct client *c)
{
	return c->login && (c->stamp != 0 || (c->rights & (RIGHT_LISTED | RIGHT_LOCAL)) != 0);
}

static void present_to(const struct client *c, struct channel *login)
{
	const struct channel *ch = c->peer->channel;
	struct msg_login_present m = { .worker = channel_peer_index(ch),
				       .incarnation = channel_peer_incarnation(ch),
				       .session = c->session,
				       .login = str_of(c->login),
				       .device = str_of(c->device_name),
				       .stamp = c->stamp };

	ipc_send_login_present(login, &m, -1);
}

void revocation_present(const struct client *c)
{
	if (can_end(c))
		present_to(c, role_peer(c->accounting->role, ROLE_LOGIN, 0));
}

void accounting_logins_check(struct accounting *acc, struct channel *ch, const struct msg_logins_check *m)
{
	LIST_EACH_OF (const struct admission_peer, p, &acc->admission.peers, in_peers)
		LIST_EACH_OF (const struct client, c, &p->clients, in_peer)
			if (can_end(c))
				present_to(c, ch);
	ipc_send_logins_checked(ch, &(struct msg_logins_checked){ .call = m->call }, -1);
}

/* ---- what has ended ---- */

/* NULL: it has not ended. */
static uint64_t *find_ended(struct admission *ad, struct str login, struct str device, uint64_t stamp)
{
	uint64_t hash = hash_numbers(hash_texts(login, device), stamp);

	for (size_t i = 0; i < ENDED_MAX; i++)
		if (ad->ended[i] == hash)
			return &ad->ended[i];
	return NULL;
}

bool revocation_holds(const struct accounting *acc, struct str login, struct str device, uint64_t stamp)
{
	return find_ended((struct admission *)&acc->admission, login, device, stamp) != NULL;
}

void revocation_forget(struct accounting *acc, struct str login, struct str device, uint64_t stamp)
{
	uint64_t *ended = find_ended(&acc->admission, login, device, stamp);

	if (ended)
		*ended = 0;
}

static void note_ended(const struct client *c)
{
	struct admission *ad = &c->accounting->admission;

	if (find_ended(ad, str_of(c->login), str_of(c->device_name), c->stamp))
		return;
	ad->ended[ad->ended_next] = hash_numbers(hash_texts(str_of(c->login), str_of(c->device_name)), c->stamp);
	ad->ended_next = (ad->ended_next + 1) % ENDED_MAX;
}

static void on_session_ended(void *ctx, struct verdict v, const struct msg_session_ended *m, int fd)
{
	struct ending *e = ctx;

	list_remove(&e->in_ending);
	ipc_send_login_ended(e->login, &(struct msg_login_ended){ .call = e->call }, -1);
	free(e);
}

void accounting_login_over(struct accounting *acc, struct channel *ch, const struct msg_login_over *m)
{
	struct client *c = client_of(acc, m->worker, m->incarnation, m->session);
	struct ending *e;

	if (!c || !can_end(c) || c->stamp != m->stamp) {
		ipc_send_login_ended(ch, &(struct msg_login_ended){ .call = m->call }, -1);
		return;
	}
	note_ended(c);
	client_log_out(c);
	e = NEW(struct ending);
	*e = (struct ending){ .login = ch, .call = m->call };
	list_append(&acc->admission.ending, &e->in_ending);
	e->asked = ipc_call_session_over(c->peer->channel, &(struct msg_session_over){ .session = c->session }, -1,
					 on_session_ended, e);
}

void revocation_peer_gone(struct accounting *acc, const struct channel *ch)
{
	LIST_EACH_OF (struct ending, e, &acc->admission.ending, in_ending)
		if (e->login == ch)
			e->login = NULL;
}

void revocation_fini(struct accounting *acc)
{
	LIST_EACH_OF (struct ending, e, &acc->admission.ending, in_ending) {
		ipc_cancel(e->asked);
		list_remove(&e->in_ending);
		free(e);
	}
}
