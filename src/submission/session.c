/* session.c - the life of a session: accepted, its states, its time, closed. In between: session_admission.c, session_tls.c,
 * session_events.c. */
#include "session.h"

#include "transaction.h"
#include "turns.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/policy.h"

#include <assert.h>
#include <stdlib.h>

#define TIMER_EARLY_MS 100 /* the loop's clock may be so far behind */
#define EXPELLED       "the password has changed or its time is over"
#define REFUSED_MAX    64 /* banned clients at once, for whom a handshake is made */
#define REFUSED_MS     10000
#define SPARE_SESSIONS 64 /* above the limit so many hear why they are not served; the rest is dropped */

static void on_drain(void *ctx, struct stream *st);
static void on_timer(uv_timer_t *timer);
static void on_end(void *ctx, struct stream *st, struct str why);
static void on_stream_closed(void *ctx, struct stream *st);
static void on_timer_closed(uv_handle_t *h);

static const struct stream_ops stream_ops = { .on_input = session_on_input,
					      .on_drain = on_drain,
					      .on_tls = session_on_tls,
					      .on_end = on_end,
					      .on_closed = on_stream_closed };

static const char *const state_names[SESSION_STATES] = { "new",         "proxy",       "admission", "hello",     "tls",
							 "command",     "turn",        "login",     "judgement", "login_delay",
							 "error_delay", "reservation", "spooling",  "waiting",   "closing" };

void session_enter(struct session *s, enum session_state state)
{
#define FROM(name) (1u << SESSION_##name)
	static const unsigned legal[SESSION_STATES] = {
		[SESSION_PROXY] = FROM(NEW),
		[SESSION_ADMISSION] = FROM(NEW) | FROM(PROXY),
		[SESSION_HELLO] = FROM(ADMISSION) | FROM(COMMAND),
		[SESSION_TLS] = FROM(HELLO),
		[SESSION_COMMAND] = FROM(NEW) | FROM(ADMISSION) | FROM(TLS) | FROM(TURN) | FROM(LOGIN) | FROM(JUDGEMENT) |
				    FROM(LOGIN_DELAY) | FROM(ERROR_DELAY) | FROM(RESERVATION) | FROM(SPOOLING) | FROM(WAITING),
		[SESSION_TURN] = FROM(COMMAND),
		[SESSION_LOGIN] = FROM(COMMAND),
		[SESSION_JUDGEMENT] = FROM(LOGIN),
		[SESSION_LOGIN_DELAY] = FROM(JUDGEMENT),
		[SESSION_ERROR_DELAY] = FROM(COMMAND),
		[SESSION_RESERVATION] = FROM(COMMAND),
		[SESSION_SPOOLING] = FROM(COMMAND),
		[SESSION_WAITING] = FROM(COMMAND),
		[SESSION_CLOSING] = ~0u & ~FROM(CLOSING),
	};
#undef FROM

	assert((legal[state] & 1u << s->state) != 0);
	log_debug(&s->log, "session.entered", kv("state", state_names[state]));
	s->state = state;
}

void session_set_timer(struct session *s, uint64_t ms)
{
	uv_timer_start(&s->timer, on_timer, ms, 0);
}

uint64_t session_patience(const struct session *s, uint64_t ms)
{
	uint64_t now = clock_mono_ms(), left = s->login_by > now ? s->login_by - now : 1;

	return s->login.n == 0 && left < ms ? left : ms;
}

void session_await(struct session *s)
{
	session_set_timer(s, session_patience(s, s->policy->idle_ms));
}

/* ---- beginning ---- */

/* Why this client cannot be served; OK when it can. */
static struct verdict check_room(const struct door *door)
{
	const struct submission *sub = door->sub;
	const struct config *c = role_config(sub->role);
	uint64_t most = door->listen < c->listen_n ? c->listen[door->listen].max_connections : 0, here = 0;

	if (sub->sessions_n >= sub->policy->sessions)
		return temp(421, S("4.3.2"), S("Too many connections, try again later"));
	LIST_EACH (i, &sub->doors) {
		const struct door *d = CONTAINER_OF(i, struct door, link);

		if (d->listen == door->listen)
			here += d->sessions;
	}
	if (most > 0 && here >= most)
		return temp(421, S("4.3.2"), S("Too many connections on this port, try again later"));
	return ok();
}

/* A session with its parts, in the state SESSION_NEW; NULL when the client has gone already. */
static struct session *session_new(struct door *door, uv_stream_t *server)
{
	struct session *s = NEW(struct session);
	struct submission *sub = door->sub;
	const struct config *c = role_config(sub->role);

	s->sub = sub;
	s->door = door;
	s->conn = stream_accept(server, &stream_ops, s);
	if (s->conn == NULL) {
		free(s);
		return NULL;
	}
	s->policy = sub->policy;
	s->policy->refs++;
	s->implicit = door->listen < c->listen_n && c->listen[door->listen].tls == LISTEN_IMPLICIT;
	s->smtp_config = s->policy->smtp;
	s->smtp = smtp_server_new(&s->smtp_config);
	s->log.session = ++sub->next_session;
	s->login_by = clock_mono_ms() + s->policy->login_ms;
	buf_init(&s->proxy, PROXY_HEADER_MAX);
	buf_init(&s->helo, 256);
	list_init(&s->turn);
	uv_timer_init(sub->loop, &s->timer);
	s->timer.data = s;
	s->open_parts = 2;
	list_append(&sub->sessions, &s->link);
	door->sessions++;
	sub->sessions_n++;
	sub->sessions_total++;
	return s;
}

/* Does a load balancer speak first, of those who are allowed to? */
static bool comes_by_proxy(const struct session *s)
{
	const struct config *c = role_config(s->sub->role);

	return s->door->listen < c->listen_n &&
	       networks_contain(&c->listen[s->door->listen].proxy_protocol, stream_peer_address(s->conn));
}

void session_accept(struct door *door, uv_stream_t *server)
{
	struct verdict room = check_room(door);
	struct session *s;

	if (door->sub->sessions_n >= door->sub->policy->sessions + SPARE_SESSIONS) {
		refusals_note(door->sub, S("unknown"), S("far too many connections"));
		return; /* the listener drops it */
	}
	s = session_new(door, server);
	if (s == NULL)
		return;
	if (room.class != OK)
		session_refuse(s, room, false);
	else if (comes_by_proxy(s))
		session_expect_proxy(s);
	else
		session_ask_admission(s);
}

void session_refuse(struct session *s, struct verdict v, bool banned)
{
	refusals_note(s->sub, stream_peer_address(s->conn), v.text);
	if (s->implicit && banned && s->sub->refused_n < REFUSED_MAX) { /* whose mail program says "421 ..." knows what to do */
		s->refused = true;
		s->sub->refused_n++;
		s->login_by = clock_mono_ms() + REFUSED_MS;
		s->refusal = verdict_keep(&s->arena, v);
		session_expect_handshake(s);
		return;
	}
	if (s->implicit) {
		session_close(s, v.text, false);
		return;
	}
	session_enter(s, SESSION_COMMAND);
	session_await(s);
	smtp_server_refuse(s->smtp, v);
	s->ended_for = "refused at the door";
	session_advance(s);
}

static void on_drain(void *ctx, struct stream *st)
{
	struct session *s = ctx;

	if (s->after_reply)
		crash_point("submission.after_reply");
	s->after_reply = false;
	if (s->state == SESSION_COMMAND)
		session_advance(s);
}

/* ---- from the transaction ---- */
void session_answer(struct session *s, struct verdict v)
{
	assert(s->state == SESSION_WAITING);
	s->tx = NULL;
	s->messages += v.class == OK;
	s->after_reply = v.class == OK;
	session_reply(s, v);
	if (s->expelled && s->state != SESSION_CLOSING)
		session_expel(s);
}

void session_room(struct session *s)
{
	if (s->state != SESSION_SPOOLING)
		return;
	session_enter(s, SESSION_COMMAND);
	session_await(s);
	session_advance(s);
}

/* ---- time ---- */
static void shut(struct session *s, struct verdict v, const char *reason)
{
	s->ended_for = reason;
	smtp_server_shut(s->smtp, v, true);
	if (s->state != SESSION_COMMAND)
		session_enter(s, SESSION_COMMAND);
	session_advance(s);
	/* A client that reads nothing of what we write will not read this either. */
	if (s->state != SESSION_CLOSING)
		session_close(s, str_of(reason), false);
}

/* Who does not get as far as a login within a minute keeps a place from others. */
static void on_silence(struct session *s)
{
	if (s->login.n == 0 && clock_mono_ms() + TIMER_EARLY_MS >= s->login_by)
		shut(s, temp(421, S("4.4.2"), S("No login within the time for it")), "no login in time");
	else
		shut(s, temp(421, S("4.4.2"), S("Idle for too long")), "idle");
}

void session_expel(struct session *s)
{
	static const struct verdict v = {
		TEMP, 421, { "4.7.0", 5 }, { "The password of this login has changed or its time is over, log in again", 72 }
	};
	bool waits = s->state == SESSION_WAITING;

	if (s->state == SESSION_CLOSING)
		return;
	log_info(&s->log, "session.expelled", kv("login", s->login), kv("device", s->device));
	s->expelled = waits;
	s->stamp = 0;
	if (waits) { /* and no command after it is taken */
		smtp_server_shut(s->smtp, v, false);
		s->ended_for = EXPELLED;
		return;
	}
	ipc_cancel(s->call);
	s->call = 0;
	list_remove(&s->turn);
	shut(s, v, EXPELLED);
}

static void on_timer(uv_timer_t *timer)
{
	struct session *s = timer->data;

	switch (s->state) {
	case SESSION_COMMAND: on_silence(s); break;
	case SESSION_SPOOLING: shut(s, temp(421, S("4.3.0"), S("Storage does not answer")), "the disk does not answer"); break;
	case SESSION_PROXY: session_close(s, S("no PROXY header came"), false); break;
	case SESSION_HELLO:
	case SESSION_TLS: session_close(s, S("TLS handshake took too long"), false); break;
	case SESSION_JUDGEMENT: session_end_judgement(s); break;
	case SESSION_LOGIN_DELAY: session_end_login_delay(s); break;
	case SESSION_ERROR_DELAY:
		session_enter(s, SESSION_COMMAND);
		session_advance(s);
		break;
	default: break; /* calls have deadlines of their own; the timer runs again with the next reply */
	}
}

/* ---- ending ---- */

/* Nothing can be said to the client yet, or any more. */
static bool is_before_words(const struct session *s)
{
	return s->state == SESSION_NEW || s->state == SESSION_PROXY || s->state == SESSION_ADMISSION ||
	       s->state == SESSION_HELLO || s->state == SESSION_TLS;
}

void session_stop(struct session *s, bool now)
{
	struct verdict v = temp(421, S("4.3.2"), S("The relay is being stopped, try again later"));

	if (s->state == SESSION_CLOSING)
		return;
	if (is_before_words(s))
		session_close(s, S("the relay is being stopped"), false);
	else if (s->state == SESSION_COMMAND && (now || s->tx == NULL))
		shut(s, v, "the relay is being stopped");
	else
		smtp_server_shut(s->smtp, v, false);
	s->ended_for = "the relay is being stopped";
}

/* An orderly end leaves the other direction open: what came is still answered. */
static void on_end(void *ctx, struct stream *st, struct str why)
{
	struct session *s = ctx;

	if (why.n > 0 || is_before_words(s)) {
		session_close(s, why.n > 0 ? why : S("the client has ended the connection"), false);
		return;
	}
	s->peer_ended = true;
	session_advance(s);
}

void session_close(struct session *s, struct str reason, bool finish)
{
	if (s->state == SESSION_CLOSING)
		return;
	session_enter(s, SESSION_CLOSING);
	ipc_cancel(s->call);
	s->call = 0;
	session_end_login(s);
	if (s->tx != NULL)
		transaction_leave(s->tx);
	s->tx = NULL;
	session_leave_queue(s);
	if (s->opened)
		log_info(&s->log, "session.closed", kv("client", stream_peer_address(s->conn)), kv("reason", reason),
			 kv("messages", s->messages));
	list_remove(&s->turn);
	if (finish)
		stream_finish(s->conn);
	else
		stream_close(s->conn);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

void session_cut(struct session *s)
{
	session_close(s, S("the relay is being stopped"), false);
	if (s->conn)
		stream_close(s->conn);
}

static void part_closed(struct session *s)
{
	struct submission *sub = s->sub;

	if (--s->open_parts > 0)
		return;
	list_remove(&s->link);
	s->door->sessions--;
	sub->sessions_n--;
	sub->refused_n -= s->refused;
	secret_fini(&s->user);
	smtp_server_free(s->smtp);
	policy_unref(s->policy);
	buf_fini(&s->proxy);
	buf_fini(&s->helo);
	arena_fini(&s->arena);
	free(s);
	submission_check_stopped(sub);
}

static void on_stream_closed(void *ctx, struct stream *st)
{
	struct session *s = ctx;

	s->conn = NULL;
	part_closed(s);
}

static void on_timer_closed(uv_handle_t *h)
{
	part_closed(h->data);
}
