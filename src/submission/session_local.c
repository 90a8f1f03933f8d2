/* session_local.c - the session of a user of this machine: no TLS, no password, because the kernel says who it is.
 *
 * In the order they happen: session_local_user, session_admit_local, on_local_user, on_authorized, session_begin. */
#include "session.h"

#include <sys/socket.h>

static void on_local_user(void *ctx, struct verdict v, const struct msg_local_user_is *m, int fd);
static void on_authorized(void *ctx, struct verdict v, const struct msg_authorized *m, int fd);

bool session_local_user(int fd, uint64_t *uid_out)
{
	struct ucred who;
	socklen_t n = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
		return false;
	*uid_out = who.uid;
	return true;
}

/* A name without a domain is one of this machine, as local_name() knows them. */
void session_admit_local(struct session *s, uint64_t uid)
{
	struct msg_local_user m = { .uid = uid };

	s->local = true;
	s->user_here.uid = uid;
	s->smtp_config.mechanisms = S("");
	s->smtp_config.auth_equals = false;
	s->smtp_config.can_starttls = false;
	s->smtp_config.domain = S("localhost");
	smtp_server_trust(s->smtp, false);
	session_enter(s, SESSION_ADMISSION);
	s->call = ipc_call_local_user(role_peer(s->sub->role, ROLE_LOGIN, 0), &m, -1, on_local_user, s);
}

static void keep_user(struct session *s, const struct msg_local_user_is *m)
{
	s->user_here.name = arena_str(&s->arena, m->name);
	s->user_here.login = arena_str(&s->arena, m->login);
	s->user_here.sender = arena_str(&s->arena, m->sender);
	s->system_users = arena_str(&s->arena, m->system_users);
	s->mechanism = S("LOCAL");
	s->login = s->user_here.login;
	s->device = S(LOCAL_DEVICE);
}

/* queue counts the session without being asked whether it is allowed: it has no address that could be banned. */
static void ask_queue(struct session *s)
{
	struct channel *queue = submission_queue(s->sub);
	struct msg_present present = { .session = s->log.session, .client = stream_peer_address(s->conn) };
	struct msg_authenticated m = {
		.session = s->log.session, .login = s->login, .device = s->device, .mechanism = s->mechanism, .success = 1
	};

	if (queue != NULL && s->queue_generation != s->sub->queue_generation) {
		s->queue_generation = s->sub->queue_generation;
		ipc_send_present(queue, &present, -1);
	}
	s->call = ipc_call_authenticated(queue, &m, -1, on_authorized, s);
}

static void on_local_user(void *ctx, struct verdict v, const struct msg_local_user_is *m, int fd)
{
	struct session *s = ctx;

	s->call = 0;
	if (m == NULL) {
		session_refuse(s, temp(421, S("4.3.0"), S("Nobody knows users now, try again later")), false);
		return;
	}
	if (m->verdict.class != OK) {
		log_warning(&s->log, "local.refused", kv("uid", s->user_here.uid), kv("user", m->name), kv("login", m->login),
			    kv("reason", m->verdict.text));
		session_refuse(s, m->verdict, false);
		return;
	}
	keep_user(s, m);
	ask_queue(s);
}

/* Without an answer of queue the session begins, as that of a listed host does: queue judges the message when it is submitted. */
static void on_authorized(void *ctx, struct verdict v, const struct msg_authorized *m, int fd)
{
	struct session *s = ctx;

	s->call = 0;
	if (m != NULL && m->verdict.class != OK) {
		session_refuse(s, m->verdict, false);
		return;
	}
	s->reserving = m != NULL ? m->reserving : 0;
	session_present_login(s); /* it can have been locked since login was asked */
	session_begin(s);
}
