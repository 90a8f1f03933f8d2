/* login.c - AUTH of a session: the login role knows passwords and mechanisms, here its answers become replies. */
#include "session.h"

static void on_login_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd);

/* What every refused login hears, whatever the reason was: nothing tells whether the name exists. */
static const struct verdict wrong = { PERM, 535, { "5.7.8", 5 }, { "Authentication failed", 21 } };
static const struct verdict unavailable = {
	TEMP, 454, { "4.7.0", 5 }, { "Login is not possible at the moment, try again later", 52 }
};

/* The number of a TLS version as on the wire, for the login role. */
static uint64_t tls_version_number(const char *version)
{
	static const char *const names[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };

	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (version != NULL && strcmp(version, names[i]) == 0)
			return 0x0301 + i;
	return 0;
}

void session_on_auth(struct session *s, const struct smtp_event *e)
{
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);
	struct stream_tls_info info;
	struct msg_login_start m = { .session = s->log.session,
				     .mechanism = e->mechanism,
				     .has_initial = e->has_initial,
				     .initial = e->initial,
				     .service = S("smtp"),
				     .client = stream_peer_address(s->conn),
				     .cb_exporter = S(""),
				     .cb_end_point = S("") };

	s->mechanism = arena_str(&s->arena, e->mechanism); /* the number of attempts is bounded by the number of errors */
	if (login == NULL) {
		log_warning(&s->log, "login.unavailable", kv("reason", "the login role is away"));
		smtp_server_reply(s->smtp, unavailable);
		return;
	}
	stream_tls_info(s->conn, &info);
	m.tls_version = info.on ? tls_version_number(info.version) : 0;
	m.tls_bits = info.on ? info.bits : 0;
	session_enter(s, SESSION_LOGIN);
	s->login_generation = s->sub->login_generation;
	s->call = ipc_call_login_start(login, &m, -1, on_login_reply, s);
}

void session_on_auth_response(struct session *s, const struct smtp_event *e)
{
	struct msg_login_step m = { .session = s->log.session, .response = e->initial };
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);

	if (login == NULL || s->login_generation != s->sub->login_generation) { /* the process that knew the exchange has gone */
		s->login_generation = 0;
		smtp_server_reply(s->smtp, unavailable);
		return;
	}
	session_enter(s, SESSION_LOGIN);
	s->call = ipc_call_login_step(login, &m, -1, on_login_reply, s);
}

/* The exchange is over: let the machine answer, and go on. */
static void reply(struct session *s, struct verdict v)
{
	smtp_server_reply(s->smtp, v);
	session_enter(s, SESSION_COMMAND);
	session_advance(s);
}

/* In: note who it is, and whence, in one line. */
static void log_in(struct session *s, const struct msg_login_reply *m)
{
	struct stream_tls_info info;

	stream_tls_info(s->conn, &info);
	s->login = arena_str(&s->arena, m->login);
	s->device = arena_str(&s->arena, m->device);
	s->origin = arena_printf(&s->arena, "client=%.*s tls=%s cipher=%s mechanism=%.*s", STR_ARG(stream_peer_address(s->conn)),
				 info.on ? info.version : "none", info.on ? info.cipher : "none", STR_ARG(s->mechanism));
	s->sub->logins++;
	log_info(&s->log, "login.accepted", kv("login", s->login), kv("device", s->device),
		 kv("client", stream_peer_address(s->conn)), kv("mechanism", s->mechanism));
	reply(s, ok());
}

/* Refused: the answer waits, so that guessing takes time; the session is not read meanwhile. */
static void refuse(struct session *s)
{
	s->sub->logins_failed++;
	log_warning(&s->log, "login.failed", kv("client", stream_peer_address(s->conn)), kv("mechanism", s->mechanism));
	s->refusal = wrong;
	session_enter(s, SESSION_LOGIN_DELAY);
	uv_timer_start(&s->timer, s->timer.timer_cb, s->policy->login_delay_ms, 0);
}

static void on_login_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd)
{
	struct session *s = ctx;

	s->call = 0;
	if (m != NULL && m->verdict.class == OK && m->verdict.code == 334) {
		reply(s, ok_text(334, S(""), m->challenge));
		return;
	}
	if (m == NULL)
		session_end_login(s); /* it may be busy with it still */
	s->login_generation = 0;
	if (m == NULL || m->verdict.class == TEMP) {
		log_warning(&s->log, "login.unavailable", kv("reason", m == NULL ? v.text : m->verdict.text));
		reply(s, unavailable);
	} else if (m->verdict.class == OK && m->login.n > 0) {
		log_in(s, m);
	} else {
		refuse(s);
	}
}

void session_end_login(struct session *s)
{
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);

	if (s->login_generation != 0 && s->login_generation == s->sub->login_generation)
		ipc_send_login_end(login, &(struct msg_login_end){ .session = s->log.session }, -1);
	s->login_generation = 0;
}
