/* session.c - the life of a session: accepted, TLS, events of the SMTP machine in turn, delays, closed.
 *
 * Back-pressure: while the state is not SESSION_COMMAND no event is taken, so the machine's input fills up, so on_input takes no more, so
 * the stream stops reading, so TCP's window closes. */
#include "session.h"

#include "transaction.h"

#include "posthouse/crash.h"

#include <assert.h>
#include <stdlib.h>

#define OUTPUT_HIGH    (64 * 1024) /* unsent replies with which no further command is taken */
#define HANDSHAKE_MS   30000
#define ERROR_DELAY_MS 1000

/* In the order they happen. */
static void on_tls(void *ctx, struct stream *st, struct verdict v);
static size_t on_input(void *ctx, struct stream *st, struct str bytes);
static void on_drain(void *ctx, struct stream *st);
static void on_timer(uv_timer_t *timer);
static void on_end(void *ctx, struct stream *st, struct str why);
static void on_stream_closed(void *ctx, struct stream *st);
static void on_timer_closed(uv_handle_t *h);

static const struct stream_ops stream_ops = {
	.on_input = on_input, .on_drain = on_drain, .on_tls = on_tls, .on_end = on_end, .on_closed = on_stream_closed
};

static const char *const state_names[SESSION_STATES] = { "new",         "tls",      "command", "login",  "login_delay",
							 "error_delay", "spooling", "waiting", "closing" };

void session_enter(struct session *s, enum session_state state)
{
#define FROM(name) (1u << SESSION_##name)
	static const unsigned legal[SESSION_STATES] = {
		[SESSION_TLS] = FROM(NEW) | FROM(COMMAND),
		[SESSION_COMMAND] = FROM(NEW) | FROM(TLS) | FROM(LOGIN) | FROM(LOGIN_DELAY) | FROM(ERROR_DELAY) | FROM(SPOOLING) |
				    FROM(WAITING),
		[SESSION_LOGIN] = FROM(COMMAND),
		[SESSION_LOGIN_DELAY] = FROM(LOGIN),
		[SESSION_ERROR_DELAY] = FROM(COMMAND),
		[SESSION_SPOOLING] = FROM(COMMAND),
		[SESSION_WAITING] = FROM(COMMAND),
		[SESSION_CLOSING] = ~0u & ~FROM(CLOSING),
	};
#undef FROM

	assert((legal[state] & 1u << s->state) != 0);
	log_debug(&s->log, "session.entered", kv("state", state_names[state]));
	s->state = state;
}

static void set_timer(struct session *s, uint64_t ms)
{
	uv_timer_start(&s->timer, on_timer, ms, 0);
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
	s->smtp = smtp_server_new(&s->policy->smtp);
	s->log.session = ++sub->next_session;
	uv_timer_init(sub->loop, &s->timer);
	s->timer.data = s;
	s->open_parts = 2;
	list_append(&sub->sessions, &s->link);
	door->sessions++;
	sub->sessions_n++;
	sub->sessions_total++;
	return s;
}

void session_accept(struct door *door, uv_stream_t *server)
{
	struct verdict room = check_room(door);
	struct session *s = session_new(door, server);

	if (s == NULL)
		return;
	log_info(&s->log, "session.opened", kv("client", stream_peer_address(s->conn)), kv("listen", door->listen),
		 kv("tls", s->implicit ? "implicit" : "starttls"));
	if (s->implicit && room.class != OK) { /* no handshake only to say no */
		session_close(s, room.text, false);
		return;
	}
	if (s->implicit) {
		session_enter(s, SESSION_TLS);
		set_timer(s, HANDSHAKE_MS);
		stream_start_server_tls(s->conn, s->policy->tls);
		return;
	}
	session_enter(s, SESSION_COMMAND);
	set_timer(s, s->policy->idle_ms);
	if (room.class == OK)
		smtp_server_greet(s->smtp);
	else
		smtp_server_refuse(s->smtp, room);
	s->ended_for = room.class == OK ? NULL : "too many connections";
	session_advance(s);
}

static void begin_tls(struct session *s, const struct smtp_event *e)
{
	struct buf *out = smtp_server_output(s->smtp);

	smtp_server_reply(s->smtp, ok());
	stream_write(s->conn, buf_view(out)); /* the last words in the clear */
	buf_release(out);
	session_enter(s, SESSION_TLS);
	set_timer(s, HANDSHAKE_MS);
	stream_start_server_tls(s->conn, s->policy->tls);
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct session *s = ctx;
	struct stream_tls_info info;

	if (s->state != SESSION_TLS)
		return;
	if (v.class != OK) {
		session_close(s, v.text, false);
		return;
	}
	stream_tls_info(st, &info);
	log_info(&s->log, "session.tls", kv("version", info.version), kv("cipher", info.cipher));
	smtp_server_tls_started(s->smtp);
	if (s->implicit)
		smtp_server_greet(s->smtp);
	session_enter(s, SESSION_COMMAND);
	set_timer(s, s->policy->idle_ms);
	session_advance(s);
}

/* ---- bytes in, events, bytes out ---- */
static size_t on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct session *s = ctx;
	size_t taken = 0;

	s->held = false;
	if (smtp_server_in_text(s->smtp) && s->state == SESSION_COMMAND)
		set_timer(s, s->policy->idle_ms); /* of commands whole lines count, of text every byte */
	while (taken < bytes.n) {
		struct str part = str_head(str_from(bytes, taken), smtp_server_room(s->smtp));

		if (s->state == SESSION_TLS || s->state == SESSION_CLOSING)
			return bytes.n; /* of no interest any more */
		if (part.n == 0)
			break;
		smtp_server_feed(s->smtp, part);
		taken += part.n;
		session_advance(s);
	}
	s->held = taken < bytes.n;
	return taken;
}

static void on_closing_event(struct session *s, const struct smtp_event *e)
{
	struct buf *out = smtp_server_output(s->smtp);

	stream_write(s->conn, buf_view(out));
	buf_release(out);
	session_close(s,
		      str_of(e->type == SMTP_QUIT   ? "quit"
			     : s->ended_for != NULL ? s->ended_for
						    : "too many errors or commands"),
		      true);
}

static void on_auth_cancel(struct session *s, const struct smtp_event *e)
{
	session_end_login(s);
}

static void on_helo(struct session *s, const struct smtp_event *e)
{
	log_debug(&s->log, "session.named", kv("name", e->name));
}

static void (*const event_handlers[])(struct session *s, const struct smtp_event *e) = {
	[SMTP_HELO] = on_helo,
	[SMTP_STARTTLS] = begin_tls,
	[SMTP_AUTH] = session_on_auth,
	[SMTP_AUTH_RESPONSE] = session_on_auth_response,
	[SMTP_AUTH_CANCEL] = on_auth_cancel,
	[SMTP_MAIL] = session_on_mail,
	[SMTP_RCPT] = session_on_rcpt,
	[SMTP_DATA] = session_on_data,
	[SMTP_TEXT] = session_on_text,
	[SMTP_TEXT_END] = session_on_text_end,
	[SMTP_RESET] = session_on_reset,
	[SMTP_QUIT] = on_closing_event,
	[SMTP_CLOSE] = on_closing_event,
};

/* Who makes error after error is answered slowly: guessing and scanning become dear. */
static bool must_wait(struct session *s)
{
	uint64_t errors = smtp_server_errors(s->smtp), most = s->policy->smtp.errors;
	bool more = errors > s->errors_seen;

	s->errors_seen = errors;
	return more && most > 0 && errors >= (most + 1) / 2;
}

/* Hand the collected replies to the stream. False when there were none, or they have to wait. */
static bool write_replies(struct session *s)
{
	struct buf *out = smtp_server_output(s->smtp);

	if (out->n == 0)
		return false;
	if (must_wait(s)) {
		session_enter(s, SESSION_ERROR_DELAY);
		set_timer(s, ERROR_DELAY_MS);
		return false;
	}
	stream_write(s->conn, buf_view(out));
	buf_release(out); /* an idle session holds no buffer */
	set_timer(s, s->policy->idle_ms);
	return true;
}

/* One event, or one round of writing; false when there is nothing to do but wait. */
static bool advance_once(struct session *s)
{
	struct smtp_event e;

	if (stream_pending(s->conn) > OUTPUT_HIGH)
		return false; /* on_drain comes */
	if (!smtp_server_next(s->smtp, &e))
		return write_replies(s); /* the machine may have held back because of them */
	event_handlers[e.type](s, &e);
	return true;
}

void session_advance(struct session *s)
{
	if (s->advancing)
		return; /* the loop below goes on */
	s->advancing = true;
	while (s->state == SESSION_COMMAND && advance_once(s))
		;
	s->advancing = false;
	if (s->state == SESSION_COMMAND && s->peer_ended && stream_pending(s->conn) <= OUTPUT_HIGH)
		session_close(s, S("the client has ended the connection"), true);
	else if (s->state == SESSION_COMMAND && s->held)
		stream_resume(s->conn);
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
	smtp_server_reply(s->smtp, v);
	session_enter(s, SESSION_COMMAND);
	session_advance(s);
}

void session_room(struct session *s)
{
	if (s->state != SESSION_SPOOLING)
		return;
	session_enter(s, SESSION_COMMAND);
	set_timer(s, s->policy->idle_ms);
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

static void on_timer(uv_timer_t *timer)
{
	struct session *s = timer->data;

	switch (s->state) {
	case SESSION_COMMAND: shut(s, temp(421, S("4.4.2"), S("Idle for too long")), "idle"); break;
	case SESSION_SPOOLING: shut(s, temp(421, S("4.3.0"), S("Storage does not answer")), "the disk does not answer"); break;
	case SESSION_TLS: session_close(s, S("TLS handshake took too long"), false); break;
	case SESSION_LOGIN_DELAY:
		smtp_server_reply(s->smtp, s->refusal);
		session_enter(s, SESSION_COMMAND);
		session_advance(s);
		break;
	case SESSION_ERROR_DELAY:
		session_enter(s, SESSION_COMMAND);
		session_advance(s);
		break;
	default: break; /* calls have deadlines of their own; the timer runs again with the next reply */
	}
}

/* ---- ending ---- */
void session_stop(struct session *s, bool now)
{
	struct verdict v = temp(421, S("4.3.2"), S("The relay is being stopped, try again later"));

	if (s->state == SESSION_CLOSING)
		return;
	if (s->state == SESSION_TLS || s->state == SESSION_NEW)
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

	if (why.n > 0 || s->state == SESSION_TLS) {
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
	ipc_cancel(NULL, s->call);
	s->call = 0;
	session_end_login(s);
	if (s->tx != NULL)
		transaction_leave(s->tx);
	s->tx = NULL;
	log_info(&s->log, "session.closed", kv("client", stream_peer_address(s->conn)), kv("reason", reason),
		 kv("messages", s->messages));
	if (finish)
		stream_finish(s->conn);
	else
		stream_close(s->conn);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

static void part_closed(struct session *s)
{
	struct submission *sub = s->sub;

	if (--s->open_parts > 0)
		return;
	list_remove(&s->link);
	s->door->sessions--;
	sub->sessions_n--;
	smtp_server_free(s->smtp);
	policy_unref(s->policy);
	arena_fini(&s->arena);
	free(s);
	submission_check_stopped(sub);
}

static void on_stream_closed(void *ctx, struct stream *st)
{
	part_closed(ctx);
}

static void on_timer_closed(uv_handle_t *h)
{
	part_closed(h->data);
}
