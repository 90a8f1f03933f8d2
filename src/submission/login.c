/* login.c - AUTH of a session: the login role knows passwords and mechanisms, and asks queue, which counts failures and says what
 * the client hears.
 *
 * In the order they happen: session_on_auth, (session_on_auth_response), begin_login, on_login_reply, (next_step). */
#include "session.h"

#define USER_MAX 1024 /* bytes of a name that are read; no login is longer */

static void on_login_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd);

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

/* The client is logged in: from now on the session uses this login, also that of a listed host. A mechanism with a last message
 * of its own (SCRAM) sends it before the 235. It reveals that the password was right, so it has waited for queue. */
static void log_in(struct session *s)
{
	s->login = s->vouched.login;
	s->device = s->vouched.device;
	s->listed = false;
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

void session_vouch(struct session *s, struct str login, struct str device, uint64_t reserving, struct str ticket)
{
	s->vouched.login = arena_str(&s->arena, login);
	s->vouched.device = arena_str(&s->arena, device);
	s->vouched.ticket = arena_str(&s->arena, ticket);
	s->reserving = reserving;
}

/* Accepted, perhaps after a delay: then somebody in the same network is guessing passwords of this login. */
static void let_in(struct session *s, const struct msg_login_reply *m)
{
	session_vouch(s, m->login, m->device, m->reserving, m->ticket);
	s->refusal = ok();
	s->final = arena_str(&s->arena, m->challenge);
	if (m->delay_ms == 0) {
		log_in(s);
		return;
	}
	session_enter(s, SESSION_LOGIN_DELAY);
	session_set_timer(s, m->delay_ms);
}

/* Refused: the answer is delayed, so that guessing takes time. Nothing is read from the client meanwhile. */
static void refuse(struct session *s, const struct msg_login_reply *m)
{
	struct verdict v = m->verdict.code == wrong.code ? wrong : m->verdict;

	s->sub->logins_failed++;
	log_warning(&s->log, "login.failed", kv("client", stream_peer_address(s->conn)), kv("login", m->login),
		    kv("mechanism", s->mechanism), kv("reply", v.text));
	s->refusal = verdict_keep(&s->arena, v);
	session_enter(s, SESSION_LOGIN_DELAY);
	session_set_timer(s, m->delay_ms > s->policy->login_delay_ms ? m->delay_ms : s->policy->login_delay_ms);
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
	if (m == NULL || !m->judged || (m->verdict.class == OK && m->login.n == 0)) {
		log_warning(&s->log, "login.unavailable", kv("reason", m == NULL ? v.text : m->verdict.text));
		session_reply(s, unavailable);
	} else if (m->verdict.class == OK) {
		let_in(s, m);
	} else {
		refuse(s, m);
	}
}

void session_on_over(struct submission *sub, uint64_t session)
{
	LIST_EACH_OF (struct session, s, &sub->sessions, link) {
		if (s->log.session != session)
			continue;
		session_expel(s);
		return;
	}
}
