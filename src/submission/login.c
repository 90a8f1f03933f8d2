/* login.c - AUTH of a session: the login role knows passwords and mechanisms, queue counts failures and says what the client
 * hears.
 *
 * In the order they happen: session_on_auth, (session_on_auth_response), begin_login, on_login_reply, (next_step),
 * begin_authorization, session_authorize, on_authorized. A queue that dies meanwhile is waited for. */
#include "session.h"

#define USER_MAX 1024  /* bytes of a name that are read; no login is longer */
#define AWAY_MS  10000 /* how long a login waits for a new queue */

static void on_login_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd);
static void on_authorized(void *ctx, struct verdict v, const struct msg_authorized *m, int fd);

/* The reply to every refused login, whatever the reason is: it must not tell whether the name exists. */
static const struct verdict wrong = { PERM, 535, S("5.7.8"), S("Authentication failed") };
static const struct verdict unavailable = { TEMP, 454, S("4.7.0"), S("Login is not possible at the moment, try again later") };

/* The channel binding for the login role. SCRAM without binding gets it too: it must notice when somebody on the way has
 * removed the mechanism with binding from EHLO (RFC 5802 section 6). */
static struct str get_binding(struct session *s, enum tls_binding kind, char bytes[64])
{
	size_t n;

	if (!s->policy->binds || !str_istarts(s->mechanism, S("SCRAM-")) || !stream_tls_binding(s->conn, kind, bytes, &n))
		return S("");
	return str_make(bytes, n);
}

/* Without a first response, and in LOGIN before the password, the dialogue is only in this process: a client that leaves it
 * half open costs nothing. In all these mechanisms the client speaks first (RFC 4422 section 5). */
static void challenge(struct session *s, int answer, struct str text)
{
	s->answer = answer;
	session_say(s, ok_text(334, S(""), text));
}

static void begin_login(struct session *s, struct str response)
{
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);
	char exporter[64], end_point[64];
	struct msg_login_start m = { .session = s->log.session,
				     .mechanism = s->mechanism,
				     .user = secret_view(&s->user),
				     .initial = response,
				     .service = S("smtp"),
				     .client = stream_peer_address(s->conn) };

	if (login == NULL) {
		log_warning(&s->log, "login.unavailable", kv("reason", "the login role is away"));
		secret_fini(&s->user);
		session_say(s, unavailable);
		return;
	}
	session_tls_numbers(s, &m.tls_version, &m.tls_bits);
	m.cb_exporter = get_binding(s, BINDING_EXPORTER, exporter);
	m.cb_end_point = get_binding(s, BINDING_SERVER_END_POINT, end_point);
	session_enter(s, SESSION_LOGIN);
	s->login_generation = s->sub->login_generation;
	s->call = ipc_call_login_start(login, &m, -1, on_login_reply, s);
	secret_fini(&s->user);
}

static void take_user(struct session *s, struct str user)
{
	secret_set(&s->user, str_head(user, USER_MAX));
	challenge(s, ANSWER_PASSWORD, S("Password:"));
}

void session_on_auth(struct session *s, const struct smtp_event *e)
{
	bool is_login = str_ieq(e->mechanism, S("LOGIN"));

	s->mechanism = arena_str(&s->arena, e->mechanism); /* the number of attempts is bounded by that of commands */
	secret_fini(&s->user);
	if (is_login && e->has_initial)
		take_user(s, e->initial);
	else if (e->has_initial)
		begin_login(s, e->initial);
	else
		challenge(s, is_login ? ANSWER_USER : ANSWER_FIRST, is_login ? S("Username:") : S(""));
}

static void next_step(struct session *s, struct str response)
{
	struct msg_login_step m = { .session = s->log.session, .response = response };
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);

	if (login == NULL || s->login_generation != s->sub->login_generation) { /* the process that knew the exchange has ended */
		s->login_generation = 0;
		session_say(s, unavailable);
		return;
	}
	session_enter(s, SESSION_LOGIN);
	s->call = ipc_call_login_step(login, &m, -1, on_login_reply, s);
}

void session_on_auth_response(struct session *s, const struct smtp_event *e)
{
	if (s->final_said) { /* RFC 4954 section 4: nothing, as an answer to the last words */
		s->final_said = false;
		session_say(s, e->initial.n == 0 ? ok() : perm(501, S("5.5.2"), S("Not an answer of this mechanism")));
		return;
	}
	switch (s->answer) {
	case ANSWER_USER: take_user(s, e->initial); break;
	case ANSWER_FIRST:
	case ANSWER_PASSWORD: begin_login(s, e->initial); break;
	case ANSWER_STEP: next_step(s, e->initial); break;
	}
}

/* The back-end has decided. Queue, which counts failures, decides about the reply to the client. */
static void begin_authorization(struct session *s, const struct msg_login_reply *reply)
{
	s->auth_pending_login = arena_str(&s->arena, reply->login);
	s->auth_pending_device = arena_str(&s->arena, reply->device);
	s->auth_pending_stamp = reply->stamp;
	s->repeated = reply->repeated;
	s->tried = arena_str(&s->arena, reply->tried);
	s->refusal = reply->verdict.class == OK          ? ok()
		     : reply->verdict.code == wrong.code ? wrong
							 : verdict_keep(&s->arena, reply->verdict);
	s->final = arena_str(&s->arena, reply->challenge);
	session_enter(s, SESSION_AUTHORIZING);
	session_set_timer(s, AWAY_MS);
	session_authorize(s);
}

void session_authorize(struct session *s)
{
	struct msg_authenticated m = { .session = s->log.session,
				       .login = s->auth_pending_login,
				       .device = s->auth_pending_device,
				       .mechanism = s->mechanism,
				       .success = s->refusal.class == OK,
				       .repeated = s->repeated };

	if (s->state != SESSION_AUTHORIZING || s->call != 0)
		return;
	s->authorize_generation = s->sub->queue_generation;
	s->call = ipc_call_authenticated(submission_queue(s->sub), &m, -1, on_authorized, s);
}

/* Queue did not answer: the client does not learn whether its password was right. */
void session_give_up_authorization(struct session *s)
{
	ipc_cancel(s->call);
	s->call = 0;
	log_warning(&s->log, "login.unavailable", kv("reason", "queue is away"));
	session_reply(s, unavailable);
}

static void on_login_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd)
{
	struct session *s = ctx;

	s->call = 0;
	if (m != NULL && m->verdict.class == OK && m->verdict.code == 334) {
		s->answer = ANSWER_STEP;
		session_reply(s, ok_text(334, S(""), m->challenge));
		return;
	}
	if (m == NULL)
		session_end_login(s); /* the login role can still be busy with it */
	s->login_generation = 0;
	if (m == NULL || m->verdict.class == TEMP || (m->verdict.class == OK && m->login.n == 0)) {
		log_warning(&s->log, "login.unavailable", kv("reason", m == NULL ? v.text : m->verdict.text));
		session_reply(s, unavailable);
		return;
	}
	begin_authorization(s, m);
}

void session_present_login(struct session *s)
{
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);
	struct msg_login_present m = { .session = s->log.session, .login = s->login, .device = s->device, .stamp = s->stamp };

	if (login != NULL && (s->stamp != 0 || s->listed || s->local) && s->state != SESSION_CLOSING)
		ipc_send_login_present(login, &m, -1);
}

/* The client is logged in: from now on the session uses this login, also that of a listed host. A mechanism with a last message
 * of its own (SCRAM) sends it before the 235. It reveals that the password was right, so it has waited for queue. */
static void log_in(struct session *s)
{
	s->login = s->auth_pending_login;
	s->device = s->auth_pending_device;
	s->listed = false;
	s->stamp = s->auth_pending_stamp;
	session_present_login(s); /* the password can have changed since it was checked */
	s->sub->logins++;
	stream_secrets_over(s->conn);
	log_debug(&s->log, "login.accepted", kv("login", s->login), kv("device", s->device),
		  kv("client", stream_peer_address(s->conn)), kv("mechanism", s->mechanism));
	s->final_said = s->final.n > 0;
	session_reply(s, s->final_said ? ok_text(334, S(""), s->final) : ok());
}

/* The delay is over: give the answer. */
void session_end_login_delay(struct session *s)
{
	if (s->refusal.class == OK)
		log_in(s);
	else
		session_reply(s, s->refusal);
}

/* Accepted, perhaps after a delay: then somebody in the same network is guessing passwords of this login. */
static void let_in(struct session *s, const struct msg_authorized *m)
{
	s->reserving = m->reserving;
	if (m->delay_ms == 0) {
		log_in(s);
		return;
	}
	session_enter(s, SESSION_LOGIN_DELAY);
	session_set_timer(s, m->delay_ms);
}

/* Refused: the answer is delayed, so that guessing takes time. Nothing is read from the client meanwhile. */
static void refuse(struct session *s, struct verdict v, uint64_t delay_ms)
{
	s->sub->logins_failed++;
	log_warning(&s->log, "login.failed", kv("client", stream_peer_address(s->conn)), kv("login", s->auth_pending_login),
		    kv("mechanism", s->mechanism), kv("reply", v.text));
	s->refusal = verdict_keep(&s->arena, v);
	session_enter(s, SESSION_LOGIN_DELAY);
	session_set_timer(s, delay_ms > s->policy->login_delay_ms ? delay_ms : s->policy->login_delay_ms);
}

/* A repeated password counts once: login remembers that queue has counted it. */
static void tell_counted(struct session *s, uint64_t counted)
{
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);

	if (login != NULL && counted != 0 && s->tried.n > 0)
		ipc_send_login_counted(login, &(struct msg_login_counted){ .tried = s->tried, .counted = counted }, -1);
	s->tried = S("");
}

static void on_authorized(void *ctx, struct verdict v, const struct msg_authorized *m, int fd)
{
	struct session *s = ctx;

	s->call = 0;
	if (m != NULL)
		tell_counted(s, m->counted);
	if (m == NULL && submission_queue(s->sub) != NULL && s->authorize_generation == s->sub->queue_generation) {
		session_give_up_authorization(s); /* the same queue is silent */
	} else if (m == NULL) {                   /* ask the next queue: when it connects, or now when it is there already */
		if (s->authorize_generation != s->sub->queue_generation)
			session_authorize(s);
	} else if (m->verdict.class == PERM && s->refusal.class != OK) {
		refuse(s, s->refusal,
		       m->delay_ms); /* no answer of the mechanism (501), or a wrong password: the reply of the login role */
	} else if (m->verdict.class != OK) {
		refuse(s, m->verdict, m->delay_ms);
	} else if (s->refusal.class != OK) {
		refuse(s, s->refusal, m->delay_ms); /* a failure is never OK, whatever queue says */
	} else {
		let_in(s, m);
	}
}

void sessions_present_logins(struct submission *sub)
{
	LIST_EACH (i, &sub->sessions)
		session_present_login(CONTAINER_OF(i, struct session, link));
}

void session_on_login_over(struct submission *sub, uint64_t session)
{
	LIST_EACH_OF (struct session, s, &sub->sessions, link) {
		if (s->log.session != session)
			continue;
		if (s->stamp != 0 || s->listed || s->local)
			session_expel(s);
		return;
	}
}
