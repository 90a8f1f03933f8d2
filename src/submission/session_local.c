/* session_local.c - the session of a user of this machine: no TLS, no password, because the kernel says who it is: not to this
 * role, which passes the connection to login.
 *
 * In the order they happen: session_admit_local, on_local_user, session_begin. */
#include "session.h"

static void on_local_user(void *ctx, struct verdict v, const struct msg_local_user_is *m, int fd);

/* queue knows the session before login names it there. It counts it without being asked whether it is allowed: it has no address
 * that could be banned. */
static void present(struct session *s)
{
	struct channel *queue = submission_queue(s->sub);
	struct msg_present m = { .session = s->log.session, .client = stream_peer_address(s->conn) };

	if (queue == NULL)
		return; /* the next one hears of all sessions */
	s->queue_generation = s->sub->queue_generation;
	ipc_send_present(queue, &m, -1);
}

/* A name without a domain is one of this machine, as local_name() knows them. */
void session_admit_local(struct session *s, struct str pass)
{
	struct msg_local_user m = { .session = s->log.session, .pass = pass };

	s->local = true;
	s->smtp_config.mechanisms = S("");
	s->smtp_config.auth_equals = false;
	s->smtp_config.can_starttls = false;
	s->smtp_config.domain = S("localhost");
	smtp_server_trust(s->smtp, false);
	session_enter(s, SESSION_ADMISSION);
	present(s);
	s->call = ipc_call_local_user(role_peer(s->sub->role, ROLE_LOGIN, 0), &m, stream_descriptor(s->conn), on_local_user, s);
}

static void keep_user(struct session *s, const struct msg_local_user_is *m)
{
	session_vouch(s, m->login, S(LOCAL_DEVICE), m->reserving, m->ticket);
	s->report = m->report;
	s->user_here.uid = m->uid;
	s->user_here.name = arena_str(&s->arena, m->name);
	s->user_here.login = s->vouched.login;
	s->user_here.sender = arena_str(&s->arena, m->sender);
	s->system_users = arena_str(&s->arena, m->system_users);
	s->mechanism = S("LOCAL");
	s->login = s->vouched.login;
	s->device = s->vouched.device;
}

/* Is it the user who is refused, rather than one more session? */
static bool is_about_user(const struct msg_local_user_is *m)
{
	return m->verdict.class == PERM || m->login.n == 0;
}

static void on_local_user(void *ctx, struct verdict v, const struct msg_local_user_is *m, int fd)
{
	struct session *s = ctx;

	s->call = 0;
	if (m == NULL) {
		session_refuse(s, temp(421, S("4.3.0"), S("Nobody knows users now, try again later")), false);
		return;
	}
	if (m->verdict.class != OK && is_about_user(m))
		log_warning(&s->log, "local.refused", kv("uid", m->uid), kv("user", m->name), kv("login", m->login),
			    kv("reason", m->verdict.text));
	if (m->verdict.class != OK) {
		session_refuse(s, m->verdict, false);
		return;
	}
	keep_user(s, m);
	session_begin(s);
}
