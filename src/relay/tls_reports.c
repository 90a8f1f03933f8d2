/* tls_reports.c - tells tlspolicy how TLS went with the servers of domains, for reports (RFC 8460): once for each attempt of a
 * session. Nothing waits for that role, and what it does not take is not counted. */
#include "connection.h"
#include "relay.h"

#include "posthouse/names.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* As enum report_policy of src/tlspolicy/report.h numbers them. */
enum { POLICY_NONE, POLICY_TLSA, POLICY_STS };

#define TEXT_MAX        (8 * 1024) /* of a policy */
#define RECORD_HEAD_MAX 16         /* "255 255 255 ", and the end of the line */
#define REASON_MAX      200
#define QUEUED_MAX      2000 /* datagrams that tlspolicy has not read: beyond, sessions are not counted */

/* RFC 8460 3: sessions that carry reports are not counted, nor are tests and upstreams. Reports have "TLS-Required: No"; for such
 * mail, which has connections of its own, no policy counts that could be reported on. */
static struct channel *channel_for(const struct connection *c)
{
	struct channel *ch = role_peer(c->relay->role, ROLE_TLSPOLICY, 0);

	if (!c->pool->mx || c->pool->wish == TLS_WISH_OPTIONAL || c->pool->probe || !ch || channel_queued(ch) > QUEUED_MAX)
		return NULL;
	return role_config(c->relay->role)->tls_report.from.n > 0 && !str_starts(c->pool->name, S("[")) ? ch : NULL;
}

/* RFC 8460 4.5: each record in presentation format, on a line. */
static struct str tlsa_lines(struct arena *a, const struct tls_policy *p)
{
	static const char digits[] = "0123456789ABCDEF";
	struct buf b;
	struct str lines;

	buf_init(&b, TEXT_MAX);
	for (size_t i = 0; i < p->tlsa_n; i++) {
		const struct tlsa *t = &p->tlsa[i];

		if (b.n + 2 * t->data.n + RECORD_HEAD_MAX > TEXT_MAX)
			break;
		buf_printf(&b, "%u %u %u ", t->usage, t->selector, t->matching_type);
		for (size_t k = 0; k < t->data.n; k++) {
			buf_add_char(&b, digits[(unsigned char)t->data.p[k] >> 4]);
			buf_add_char(&b, digits[t->data.p[k] & 15]);
		}
		buf_add_char(&b, '\n');
	}
	lines = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return lines;
}

/* As lines of RFC 8460 4.5; the end of each is LF, whatever it was in the policy. */
static struct str sts_lines(struct arena *a, struct str text)
{
	struct str line, lines;
	struct buf b;

	buf_init(&b, SIZE_MAX / 2);
	while (str_split(&text, '\n', &line)) {
		line = str_trim(line);
		if (line.n > 0)
			buf_printf(&b, "%.*s\n", STR_ARG(line));
	}
	lines = arena_str(a, buf_view(&b));
	buf_fini(&b);
	return lines;
}

static void describe_sts(struct arena *a, const struct connection *c, struct msg_tls_session *m)
{
	const struct sts *sts = &c->pool->sts;

	m->policy = POLICY_STS;
	m->text = sts_lines(a, str_head(sts->text, TEXT_MAX));
	m->mx = S("");
	for (size_t i = 0; i < sts->mx.n && m->mx.n < TEXT_MAX; i++)
		m->mx = arena_printf(a, "%.*s%.*s\n", STR_ARG(m->mx), STR_ARG(sts->mx.at[i]));
}

static struct str address_text(struct arena *a, const struct sockaddr_storage *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	uv_ip_name((const struct sockaddr *)address, text, sizeof text);
	return arena_str(a, str_of(text));
}

/* Which of our addresses the connection has; "": there is none. */
static struct str source_of(struct arena *a, const struct connection *c)
{
	struct sockaddr_storage own = { .ss_family = AF_UNSPEC };
	socklen_t n = sizeof own;

	if (!c->stream || getsockname(stream_descriptor(c->stream), (struct sockaddr *)&own, &n) < 0)
		return S("");
	return address_text(a, &own);
}

/* The name in the greeting (RFC 5321 4.3.1). */
static struct str helo_of(const struct connection *c)
{
	struct str greeting = c->client ? smtp_client_peer(c->client)->greeting : S("");

	return str_head(greeting, str_find(greeting, ' '));
}

static void describe_policy(struct arena *a, const struct connection *c, struct msg_tls_session *m)
{
	const struct tls_policy *p = &c->tls;

	m->policy = POLICY_NONE;
	m->policy_domain = m->domain;
	if (p->source == TLS_SOURCE_DANE) {
		m->policy = POLICY_TLSA;
		m->policy_domain = p->sni.n > 0 ? p->sni : connection_candidate(c)->host; /* the TLSA base domain */
		m->text = tlsa_lines(a, p);
	} else if (c->pool->sts.mode != STS_NONE && (p->source == TLS_SOURCE_MTA_STS || p->testing)) {
		describe_sts(a, c, m);
	}
}

/* The domain's present MTA-STS policy could not be had, or is wrong: that counts beside the session (RFC 8460 4.3.2.2), which
 * goes by an older policy, or by none. */
static void note_fault(struct arena *a, const struct connection *c, struct channel *ch, const struct msg_tls_session *session)
{
	struct msg_tls_session m = { .domain = session->domain, .policy_domain = session->domain };

	if (c->pool->sts.fault == TLS_RESULT_NONE)
		return;
	describe_sts(a, c, &m);
	m.result = c->pool->sts.fault;
	m.reason = str_head(c->pool->sts.why, REASON_MAX);
	ipc_send_tls_session(ch, &m, -1);
}

/* RFC 8461 5: with a policy in mode testing what would have failed is a failure, although the mail went. */
static enum tls_result result_of(const struct connection *c, struct str *reason)
{
	if (c->tls.fell_back && reason->n == 0)
		*reason = S("the session was in clear text, because a handshake with this server failed lately");
	if (c->tls_result != TLS_RESULT_SUCCESSFUL || !c->tls.testing || c->tls.source == TLS_SOURCE_DANE)
		return c->tls_result;
	if (c->tls.unlisted) {
		*reason = S("the policy (mode testing) does not list the mail server");
		return TLS_RESULT_VALIDATION_FAILURE;
	}
	if (tls_result_failed(c->tls_judged))
		*reason = S("with the policy in mode enforce the certificate would not be accepted");
	return c->tls.level < TLS_LEVEL_VERIFY ? c->tls_judged : c->tls_result;
}

void tls_reports_note(struct connection *c, struct str reason)
{
	struct channel *ch = channel_for(c);
	const struct candidate *t = connection_candidate(c);
	struct msg_tls_session m = { .result = result_of(c, &reason) };
	struct arena a = { 0 };

	if (!ch || c->tls_counted || c->tls_result == TLS_RESULT_NONE)
		return;
	c->tls_counted = true;
	if (domain_to_ascii(&a, c->pool->name, &m.domain)) {
		describe_policy(&a, c, &m);
		if (tls_result_failed((enum tls_result)m.result)) {
			m.host = t->host;
			m.ip = c->stream ? address_text(&a, &t->address) : S("");
			m.source = source_of(&a, c);
			m.helo = helo_of(c);
			m.reason = str_head(reason, REASON_MAX);
		}
		ipc_send_tls_session(ch, &m, -1);
		note_fault(&a, c, ch, &m);
	}
	arena_fini(&a);
}
