/* session.c - what all parts of a session use: its states, its time, replies, and its end. */
#include "session.h"

#include "transaction.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>

#define EXPELLED "the password has changed or its time is over"

static void on_timer_closed(uv_handle_t *h);

static const char *const state_names[SESSION_STATES] = { "new",         "proxy",    "admission", "hello",       "tls",
							 "command",     "turn",     "login",     "login_delay", "error_delay",
							 "reservation", "spooling", "waiting",   "closing" };

void session_enter(struct session *s, enum session_state state)
{
#define FROM(name) (1u << SESSION_##name)
	static const unsigned legal[SESSION_STATES] = {
		[SESSION_PROXY] = FROM(NEW),
		[SESSION_ADMISSION] = FROM(NEW) | FROM(PROXY),
		[SESSION_HELLO] = FROM(ADMISSION) | FROM(COMMAND),
		[SESSION_TLS] = FROM(HELLO),
		[SESSION_COMMAND] = FROM(NEW) | FROM(ADMISSION) | FROM(TLS) | FROM(TURN) | FROM(LOGIN) | FROM(LOGIN_DELAY) |
				    FROM(ERROR_DELAY) | FROM(RESERVATION) | FROM(SPOOLING) | FROM(WAITING),
		[SESSION_TURN] = FROM(COMMAND),
		[SESSION_LOGIN] = FROM(COMMAND),
		[SESSION_LOGIN_DELAY] = FROM(LOGIN),
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

static void on_timer(uv_timer_t *timer)
{
	struct session *s = timer->data;

	s->sub->ops->timeout(s);
}

void session_set_timer(struct session *s, uint64_t ms)
{
	uv_timer_start(&s->timer, on_timer, ms, 0);
}

uint64_t session_wait_ms(const struct session *s, uint64_t ms)
{
	uint64_t now = clock_mono_ms(), left = s->login_by > now ? s->login_by - now : 1;

	return s->login.n == 0 && left < ms ? left : ms;
}

void session_await(struct session *s)
{
	session_set_timer(s, session_wait_ms(s, s->policy->idle_ms));
}

/* ---- words ---- */
void session_count_refusal(struct session *s, struct verdict v)
{
	if (v.class != OK)
		tally_count(&s->sub->refusals_by_code, v.enhanced.n > 0 ? v.enhanced : S("none"));
}

void session_say(struct session *s, struct verdict v)
{
	session_count_refusal(s, v);
	smtp_server_reply(s->smtp, v);
}

void session_reply(struct session *s, struct verdict v)
{
	session_say(s, v);
	session_enter(s, SESSION_COMMAND);
	s->sub->ops->advance(s);
}

void session_shut(struct session *s, struct verdict v, const char *reason)
{
	s->ended_for = reason;
	smtp_server_shut(s->smtp, v, true);
	if (s->state != SESSION_COMMAND)
		session_enter(s, SESSION_COMMAND);
	s->sub->ops->advance(s);
	/* A client that reads nothing of what we write will not read this either. */
	if (s->state != SESSION_CLOSING)
		session_close(s, str_of(reason), false);
}

void session_dismiss(struct session *s, struct verdict v, const char *reason)
{
	bool waits = s->state == SESSION_WAITING;

	if (s->state == SESSION_CLOSING)
		return;
	if (s->state < SESSION_COMMAND) { /* there is no place for a reply */
		session_close(s, str_of(reason), false);
		return;
	}
	s->expelled = waits;
	if (waits) { /* and no command after it is taken */
		smtp_server_shut(s->smtp, v, false);
		s->ended_for = reason;
		return;
	}
	ipc_cancel(s->call);
	s->call = 0;
	list_remove(&s->turn);
	session_shut(s, v, reason);
}

void session_expel(struct session *s)
{
	if (s->state == SESSION_CLOSING)
		return;
	log_info(&s->log, "session.expelled", kv("login", s->login), kv("device", s->device));
	session_dismiss(s,
			temp(421, S("4.7.0"),
			     s->listed ? S("The login that this host sends as is locked")
				       : S("The password of this login has changed or its time is over, log in again")),
			EXPELLED);
}

void session_end_login(struct session *s)
{
	struct channel *login = role_peer(s->sub->role, ROLE_LOGIN, 0);

	if (s->login_generation != 0 && s->login_generation == s->sub->login_generation)
		ipc_send_login_end(login, &(struct msg_login_end){ .session = s->log.session }, -1);
	s->login_generation = 0;
	s->final_said = false;
	secret_fini(&s->user);
}

static void leave_queue(struct session *s)
{
	if (s->queue_generation != 0 && s->queue_generation == s->sub->queue_generation)
		ipc_send_leave(submission_queue(s->sub), &(struct msg_leave){ .session = s->log.session }, -1);
}

/* Whether the log says at level info that the session ends: no message of it is in the log, but its client has failed, or has
 * tried a password and found it right. */
static bool is_worth_a_line(const struct session *s)
{
	return s->state == SESSION_TLS || s->at_fault || (s->login.n > 0 && !s->listed && s->messages == 0);
}

static void log_end(struct session *s, struct str reason, bool shown)
{
	struct stream_tls_info tls;

	stream_tls_info(s->conn, &tls);
	log_at(shown ? LOG_INFO : LOG_DEBUG, &s->log, "session.closed", kv("client", stream_peer_address(s->conn)),
	       kv("login", s->login), kv("device", s->device), kv("tls", tls.on ? tls.version : ""),
	       kv("mechanism", s->mechanism), kv("reason", reason), kv("messages", s->messages));
}

void session_close(struct session *s, struct str reason, bool finish)
{
	bool shown = is_worth_a_line(s);

	if (s->state == SESSION_CLOSING)
		return;
	session_enter(s, SESSION_CLOSING);
	ipc_cancel(s->call);
	s->call = 0;
	session_end_login(s);
	if (s->tx != NULL)
		transaction_leave(s->tx);
	s->tx = NULL;
	leave_queue(s); /* unless the transaction goes on: queue knows the session until it is answered */
	if (s->opened)
		log_end(s, reason, shown);
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

void session_part_closed(struct session *s)
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
	role_busy(sub->role, -1);
}

static void on_timer_closed(uv_handle_t *h)
{
	session_part_closed(h->data);
}
