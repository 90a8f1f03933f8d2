/* session_events.c - bytes in, events of the SMTP machine in turn, replies out.
 *
 * Back-pressure: while the state is not SESSION_COMMAND no event is taken, so the machine's input fills up, so
 * session_on_input takes no more, so the stream stops reading, so TCP's window closes. */
#include "session.h"
#include "fair_share.h"

#define OUTPUT_HIGH    (64 * 1024) /* bytes of unsent replies at which no further command is taken */
#define ERROR_DELAY_MS 1000
#define FLOOD_BYTES    32768 /* bytes of commands at once: a client that reads the replies does not send so many */

size_t session_on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct session *s = ctx;
	size_t taken = 0;

	s->held = false;
	if (s->state == SESSION_PROXY)
		return session_on_proxy_bytes(s, bytes);
	if (s->state == SESSION_HELLO)
		return session_on_hello_bytes(s, bytes);
	s->flooding = bytes.n >= FLOOD_BYTES && !smtp_server_in_text(s->smtp);
	if (s->flooding && !s->has_turn && s->state == SESSION_COMMAND) {
		s->held = true;
		session_enter(s, SESSION_TURN);
		fair_share_wait_costly(s);
		return 0;
	}
	s->has_turn = false;
	if (smtp_server_in_text(s->smtp) && s->state == SESSION_COMMAND)
		session_await(s); /* of commands whole lines count, of text every byte */
	while (taken < bytes.n && s->state != SESSION_ADMISSION) {
		struct str part = str_head(str_from(bytes, taken), smtp_server_room(s->smtp));

		/* What follows STARTTLS, QUIT or a 421 is of no interest any more. */
		if (s->state == SESSION_HELLO || s->state == SESSION_TLS || s->state == SESSION_CLOSING)
			return bytes.n;
		if (part.n == 0)
			break;
		smtp_server_feed(s->smtp, part);
		taken += part.n;
		session_advance(s);
	}
	s->held = taken < bytes.n;
	return taken;
}

/* A client that floods is cut off after its 421: to go on reading, so that it gets the 421, would help the flood. */
static bool wants_last_words(const struct session *s, const struct smtp_event *e)
{
	return e->type == SMTP_QUIT || !s->flooding || s->messages > 0;
}

static void on_closing_event(struct session *s, const struct smtp_event *e)
{
	struct buf *out = smtp_server_output(s->smtp);
	const char *why = s->ended_for != NULL ? s->ended_for : "too many errors or commands";

	s->at_fault = e->type != SMTP_QUIT && s->ended_for == NULL;
	stream_write(s->conn, buf_view(out));
	buf_release(out);
	session_close(s, e->type == SMTP_QUIT ? S("quit") : str_of(why), wants_last_words(s, e));
}

static void on_auth_cancel(struct session *s, const struct smtp_event *e)
{
	session_end_login(s);
}

static void on_helo(struct session *s, const struct smtp_event *e)
{
	log_debug(&s->log, "session.named", kv("name", e->name));
	s->esmtp = e->esmtp;
	if (!s->policy->show_client)
		return;
	buf_clear(&s->helo);
	buf_add(&s->helo, e->name); /* what is longer than a name can be is not shown */
}

static void (*const event_handlers[])(struct session *s, const struct smtp_event *e) = {
	[SMTP_HELO] = on_helo,
	[SMTP_STARTTLS] = session_on_starttls,
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

/* A client that makes error after error is answered slowly: that makes guessing and scanning expensive. */
static bool must_wait(struct session *s)
{
	uint64_t errors = smtp_server_errors(s->smtp), most = s->policy->smtp.errors;
	bool more = errors > s->errors_seen;

	s->errors_seen = errors;
	return more && most > 0 && errors >= (most + 1) / 2;
}

/* Hand the collected replies to the stream. False when there are none, or when they must wait. */
static bool write_replies(struct session *s)
{
	struct buf *out = smtp_server_output(s->smtp);
	size_t n = out->n;

	if (n == 0)
		return false;
	if (must_wait(s)) {
		session_enter(s, SESSION_ERROR_DELAY);
		session_set_timer(s, ERROR_DELAY_MS);
		return false;
	}
	stream_write(s->conn, buf_view(out));
	buf_release(out); /* an idle session holds no buffer */
	session_await(s);
	if (fair_share_spend(s, 1, 0, n)) {
		session_enter(s, SESSION_TURN);
		fair_share_wait(s);
	}
	return true;
}

/* Handle one event, or write replies once; false when there is nothing to do now. */
static bool advance_once(struct session *s)
{
	struct smtp_event e;

	if (stream_pending(s->conn) > OUTPUT_HIGH)
		return false; /* on_drain comes */
	if (!smtp_server_next(s->smtp, &e))
		return write_replies(s); /* the machine can have held back because of them */
	event_handlers[e.type](s, &e);
	if (s->state == SESSION_COMMAND && fair_share_spend(s, 1, e.bytes.n, 0)) {
		session_enter(s, SESSION_TURN);
		fair_share_wait(s);
	}
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
	if (s->state == SESSION_COMMAND && !uv_is_active((uv_handle_t *)&s->timer)) /* every wait has a limit */
		session_await(s);
	if (s->state == SESSION_COMMAND && s->peer_ended && stream_pending(s->conn) <= OUTPUT_HIGH)
		session_close(s, S("the client has ended the connection"), true);
	else if (s->state == SESSION_COMMAND && s->held)
		stream_resume(s->conn);
}

void session_turn(struct session *s)
{
	session_enter(s, SESSION_COMMAND);
	if (!uv_is_active((uv_handle_t *)&s->timer)) /* the timer has run out while the session waited for its turn */
		session_await(s);
	session_advance(s);
}

void session_costly_turn(struct session *s)
{
	if (s->state == SESSION_HELLO) {
		session_begin_handshake(s);
		return;
	}
	s->has_turn = true; /* the stream offers the held input again */
	session_turn(s);
}
