/* admin.c - sessions listed and closed for an administrator. Each submission process knows its own. */
#include "session.h"

#include "posthouse/clock.h"

#define ROW_BYTES 96 /* of a row in a page, beyond its texts */

/* What the client is doing, for people. */
static const char *state_words(const struct session *s)
{
	if (s->state < SESSION_COMMAND)
		return "connecting";
	if (s->state == SESSION_LOGIN || s->state == SESSION_LOGIN_DELAY)
		return "logging in";
	if (s->state == SESSION_WAITING)
		return "waits for an answer";
	if (s->tx != NULL)
		return "sends a message";
	return s->login.n > 0 ? "idle" : "not logged in";
}

static struct rec_session row_of(const struct session *s)
{
	struct stream_tls_info tls;

	stream_tls_info(s->conn, &tls);
	return (struct rec_session){ .session = s->log.session,
				     .client = stream_peer_address(s->conn),
				     .login = s->login,
				     .device = s->device,
				     .tls = str_of(tls.on ? tls.version : ""),
				     .since = s->opened_at,
				     .messages = s->messages,
				     .state = str_of(state_words(s)) };
}

/* Sessions are in the order of their numbers: a page goes on behind number `cursor`. */
void sessions_list(struct submission *sub, struct channel *ch, const struct msg_session_page *m)
{
	struct msg_sessions page = { .call = m->call };
	struct arena a = { 0 };
	size_t bytes = 0;

	page.rows.at = ARENA_ARRAY(&a, struct rec_session, IPC_PAGE_MAX / ROW_BYTES + 1);
	LIST_EACH_OF (const struct session, s, &sub->sessions, link) {
		if (s->log.session <= m->cursor || s->state == SESSION_CLOSING)
			continue;
		if (bytes >= IPC_PAGE_MAX) {
			page.cursor = page.rows.at[page.rows.n - 1].session;
			break;
		}
		page.rows.at[page.rows.n++] = row_of(s);
		bytes += ROW_BYTES + s->login.n + s->device.n;
	}
	ipc_send_sessions(ch, &page, -1);
	arena_fini(&a);
}

/* Empty and zero fields are any. A login without a device is that login with all its devices. */
static bool is_meant(const struct session *s, const struct msg_session_close *m)
{
	if (m->session && s->log.session != m->session)
		return false;
	if (m->client.n > 0 && !str_eq(m->client, stream_peer_address(s->conn)))
		return false;
	if (m->user.n > 0 && !str_eq(m->user, s->login))
		return false;
	return m->device.n == 0 || str_eq(m->device, s->device);
}

void sessions_close(struct submission *sub, struct channel *ch, const struct msg_session_close *m)
{
	struct msg_sessions_closed answer = { .call = m->call };

	LIST_EACH_OF (struct session, s, &sub->sessions, link) {
		if (s->state == SESSION_CLOSING || !is_meant(s, m))
			continue;
		log_info(&s->log, "session.dismissed", kv("client", stream_peer_address(s->conn)), kv("login", s->login),
			 kv("device", s->device), kv("reason", m->reason));
		session_dismiss(s, temp(421, S("4.3.2"), S("The administrator has closed this session, try again later")),
				"closed by the administrator");
		answer.count++;
	}
	ipc_send_sessions_closed(ch, &answer, -1);
}
