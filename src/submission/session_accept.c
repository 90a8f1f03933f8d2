/* session_accept.c - a session seen from outside: its client is accepted, its stream and its timer tell something, its
 * transaction answers, the relay stops. */
#include "session.h"

#include "transaction.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/policy.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define TIMER_EARLY_MS 100 /* the clock of the loop can be late by this much */
#define SPARE_SESSIONS 64  /* connections above the limit that still get a 421; further ones are closed silently */

static void on_drain(void *ctx, struct stream *st);
static void on_end(void *ctx, struct stream *st, struct str why);
static void on_stream_closed(void *ctx, struct stream *st);

static const struct stream_ops stream_ops = { .on_input = session_on_input,
					      .on_drain = on_drain,
					      .on_tls = session_on_tls,
					      .on_end = on_end,
					      .on_closed = on_stream_closed };

/* ---- beginning ---- */
/* OK, or the reason why this client cannot be served. */
static struct verdict check_room(const struct door *door)
{
	const struct submission *sub = door->sub;
	const struct config *c = role_config(sub->role);
	uint64_t most = door->listen < c->listen_n ? c->listen[door->listen].max_connections : 0, here = 0;

	if (sub->sessions_n >= sub->policy->sessions)
		return temp(421, S("4.3.2"), S("Too many connections, try again later"));
	LIST_EACH_OF (const struct door, d, &sub->doors, link) {
		if (d->listen == door->listen)
			here += d->sessions;
	}
	if (most > 0 && here >= most)
		return temp(421, S("4.3.2"), S("Too many connections on this port, try again later"));
	return ok();
}

/* A session with its parts, in the state SESSION_NEW; NULL when the client has gone already. */
static struct session *session_new(struct door *door, int fd)
{
	struct session *s = NEW(struct session);
	struct submission *sub = door->sub;
	const struct config *c = role_config(sub->role);

	s->sub = sub;
	s->door = door;
	s->conn = stream_accept(sub->loop, fd, &stream_ops, s);
	if (s->conn == NULL) {
		free(s);
		return NULL;
	}
	s->policy = sub->policy;
	s->policy->refs++;
	s->implicit = door->listen < c->listen_n && c->listen[door->listen].tls == LISTEN_IMPLICIT;
	s->smtp_config = s->policy->smtp;
	s->smtp_config.refused = session_on_refusal;
	s->smtp_config.refused_ctx = s;
	s->smtp = smtp_server_new(&s->smtp_config);
	s->log.session = ++sub->next_session;
	s->opened_at = clock_now_ms();
	s->login_by = clock_mono_ms() + s->policy->login_ms;
	buf_init(&s->proxy, PROXY_HEADER_MAX);
	buf_init(&s->helo, 256);
	list_init(&s->turn);
	uv_timer_init(sub->loop, &s->timer);
	s->timer.data = s;
	s->open_parts = 2;
	list_append(&sub->sessions, &s->link);
	role_busy(sub->role, +1);
	door->sessions++;
	sub->sessions_n++;
	sub->sessions_total++;
	return s;
}

/* Does the connection come from a listed load balancer, which sends a PROXY header first? */
static bool comes_by_proxy(const struct session *s)
{
	const struct config *c = role_config(s->sub->role);

	return s->door->listen < c->listen_n &&
	       networks_contain(&c->listen[s->door->listen].proxy_protocol, stream_peer_address(s->conn));
}

bool session_is_full(const struct submission *sub)
{
	return sub->sessions_n >= sub->policy->sessions + SPARE_SESSIONS;
}

void session_accept(void *ctx, int fd)
{
	struct door *door = ctx;
	struct verdict room = check_room(door);
	bool is_local = door->listen == LISTEN_LOCAL;
	struct session *s;

	if (session_is_full(door->sub)) {
		refusals_note(door->sub, S("unknown"), S("far too many connections"));
		close(fd);
		return;
	}
	s = session_new(door, fd);
	if (s == NULL)
		return;
	if (room.class != OK)
		session_refuse(s, room, false);
	else if (is_local)
		session_admit_local(s, S(""));
	else if (comes_by_proxy(s))
		session_expect_proxy(s);
	else
		session_ask_admission(s);
}

void session_accept_for(struct door *door, int fd, const struct msg_local_client *m)
{
	struct verdict room = check_room(door);
	struct session *s = session_new(door, fd);

	if (s == NULL)
		return;
	s->given_id = m->id;
	s->given_token = m->token;
	if (room.class != OK)
		session_refuse(s, room, false);
	else
		session_admit_local(s, m->pass);
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
		session_dismiss(s, temp(421, S("4.3.2"), S("The session is over")), s->ended_for);
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
/* A client that does not log in in time takes a place from others. */
static void on_silence(struct session *s)
{
	if (s->login.n == 0 && clock_mono_ms() + TIMER_EARLY_MS >= s->login_by)
		session_shut(s, temp(421, S("4.4.2"), S("No login within the time for it")), "no login in time");
	else
		session_shut(s, temp(421, S("4.4.2"), S("Idle for too long")), "idle");
}

void session_on_timeout(struct session *s)
{
	switch (s->state) {
	case SESSION_COMMAND: on_silence(s); break;
	case SESSION_SPOOLING:
		session_shut(s, temp(421, S("4.3.0"), S("Storage does not answer")), "the disk does not answer");
		break;
	case SESSION_PROXY: session_close(s, S("no PROXY header came"), false); break;
	case SESSION_HELLO:
	case SESSION_TLS: session_close(s, S("TLS handshake took too long"), false); break;
	case SESSION_LOGIN_DELAY: session_end_login_delay(s); break;
	case SESSION_ERROR_DELAY:
		session_enter(s, SESSION_COMMAND);
		session_advance(s);
		break;
	default: break; /* calls have deadlines of their own; the timer runs again with the next reply */
	}
}

/* ---- ending ---- */
/* The client has not been greeted: nothing can be said to it. */
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
		session_shut(s, v, "the relay is being stopped");
	else
		smtp_server_shut(s->smtp, v, false);
	s->ended_for = "the relay is being stopped";
}

/* After an orderly end the other direction is still open: what the client sent before is answered. */
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

static void on_stream_closed(void *ctx, struct stream *st)
{
	struct session *s = ctx;

	s->conn = NULL;
	session_part_closed(s);
}
