/* explain.c - what it means that a session with a next hop could not be opened, and what a person has to know about it.
 * Replies of the peer are explained by replies.def. The faults that this relay finds itself are explained here, for upstreams
 * only: no administrator of this relay can mend the servers of a domain. */
#include "connection.h"
#include "relay.h"

static bool says(struct verdict v, const char *words)
{
	return str_search(v.text, str_of(words)) < v.text.n;
}

static enum hint of_connection(const struct connection *c, struct verdict v)
{
	if (c->state == CONNECTION_RESOLVING)
		return v.class == PERM ? HINT_NAME_NOT_FOUND : HINT_NAME_SERVERS_SILENT;
	if (c->state == CONNECTION_CONNECTING && says(v, "refused"))
		return HINT_PORT_CLOSED;
	if (c->state == CONNECTION_CONNECTING && says(v, "unreachable"))
		return HINT_NO_WAY_THERE;
	if (c->state == CONNECTION_CONNECTING)
		return HINT_NO_ANSWER;
	if (!c->client || smtp_client_peer(c->client)->greeting.n > 0)
		return HINT_NONE;
	return c->pool->port == 465 && !c->tls.implicit ? HINT_WANTS_IMPLICIT : HINT_NO_GREETING;
}

static enum hint of_tls(const struct connection *c, struct verdict v)
{
	if (c->tls.implicit && says(v, "wrong version number")) /* OpenSSL's words for clear text */
		return HINT_WANTS_STARTTLS;
	switch (c->tls_result) {
	case TLS_RESULT_STARTTLS_NOT_SUPPORTED: return HINT_NO_STARTTLS;
	case TLS_RESULT_CERTIFICATE_HOST_MISMATCH: return HINT_CERTIFICATE_NAME;
	case TLS_RESULT_CERTIFICATE_EXPIRED: return HINT_CERTIFICATE_EXPIRED;
	case TLS_RESULT_CERTIFICATE_NOT_TRUSTED:
		return c->tls.level == TLS_LEVEL_PINNED ? HINT_OTHER_FINGERPRINT : HINT_CERTIFICATE_ISSUER;
	case TLS_RESULT_TLSA_INVALID: return HINT_OTHER_TLSA;
	case TLS_RESULT_DANE_REQUIRED: return HINT_NO_TLSA;
	default: return HINT_NONE;
	}
}

static enum hint of_login(const struct connection *c)
{
	if (!c->client || c->mechanism.n > 0) /* vault or the server has ended an exchange */
		return HINT_NONE;
	return smtp_client_peer(c->client)->mechanisms.n == 0 ? HINT_NO_LOGIN_OFFERED : HINT_NO_COMMON_MECHANISM;
}

struct meaning explain_failure(struct connection *c, struct verdict v, enum smtp_step step, enum smtp_fault fault)
{
	struct str greeting = c->client ? smtp_client_peer(c->client)->greeting : S("");
	struct place place = { .step = step,
			       .mx = c->pool->mx,
			       .server = arena_printf(&c->arena, "%.*s %.*s", STR_ARG(c->pool->host), STR_ARG(greeting)) };
	struct meaning m = reply_class_session(place, fault, v, c->by_peer);

	if (c->by_peer || c->pool->mx)
		return m;
	switch (fault) {
	case FAULT_CONNECTION: m.hint = of_connection(c, v); break;
	case FAULT_TLS: m.hint = of_tls(c, v); break;
	case FAULT_AUTH: m.hint = of_login(c); break;
	default: break;
	}
	return m;
}
