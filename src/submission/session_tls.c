/* session_tls.c - TLS of a session: which context, when its handshake begins, what logins can bind to. */
#include "session.h"
#include "fair_share.h"

#define HANDSHAKE_MS 30000

/* TLS comes next: in a turn of the session, when the first bytes of the client have come. A client that sends none costs only its
 * connection. */
void session_expect_handshake(struct session *s)
{
	session_enter(s, SESSION_HELLO);
	session_set_timer(s, session_wait_ms(s, HANDSHAKE_MS));
	if (s->held) /* behind a PROXY header, or while queue was asked */
		fair_share_wait_costly(s);
}

/* The stream keeps these bytes; they are the beginning of the handshake. */
size_t session_on_hello_bytes(struct session *s, struct str bytes)
{
	s->held = true;
	fair_share_wait_costly(s);
	return 0;
}

/* RFC 3207 section 4.2: nothing that came in the clear can be taken for a command inside TLS. The machine forgets what it
 * has, and what the stream has read behind STARTTLS is dropped by session_on_input, or breaks the handshake. */
void session_on_starttls(struct session *s, const struct smtp_event *e)
{
	struct buf *out = smtp_server_output(s->smtp);

	smtp_server_reply(s->smtp, ok());
	stream_write(s->conn, buf_view(out)); /* the last reply in the clear */
	buf_release(out);
	session_expect_handshake(s);
}

void session_begin_handshake(struct session *s)
{
	s->held = false;
	session_enter(s, SESSION_TLS);
	stream_start_server_tls_behind(s->conn, s->old_tls && s->policy->legacy != NULL ? s->policy->legacy : s->policy->tls);
}

/* Does this TLS connection have channel binding data? TLS 1.2 with an Ed25519 certificate, for example, has none. */
static bool has_binding(const struct session *s)
{
	char bytes[64];
	size_t n;

	return stream_tls_binding(s->conn, BINDING_EXPORTER, bytes, &n) ||
	       stream_tls_binding(s->conn, BINDING_SERVER_END_POINT, bytes, &n);
}

void session_on_tls(void *ctx, struct stream *st, struct verdict v)
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
	tally_count(&s->sub->tls_versions, str_of(info.version));
	log_debug(&s->log, "session.tls", kv("version", info.version), kv("cipher", info.cipher));
	if (s->policy->binds && has_binding(s))
		s->smtp_config.mechanisms = s->policy->mechanisms_bound;
	smtp_server_tls_started(s->smtp);
	if (s->refused) {
		s->ended_for = "refused at the door";
		session_count_refusal(s, s->refusal);
		smtp_server_refuse(s->smtp, s->refusal);
	} else if (s->implicit) {
		smtp_server_greet(s->smtp);
	}
	session_enter(s, SESSION_COMMAND);
	session_await(s);
	s->sub->ops->advance(s);
}

void session_tls_numbers(const struct session *s, uint64_t *version_out, uint64_t *bits_out)
{
	static const char *const names[] = { "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3" };
	struct stream_tls_info info;

	*version_out = *bits_out = 0;
	stream_tls_info(s->conn, &info);
	if (!info.on)
		return;
	*bits_out = info.bits;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (info.version != NULL && strcmp(info.version, names[i]) == 0)
			*version_out = 0x0301 + i;
}
