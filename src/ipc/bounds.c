/* bounds.c - see bounds.h. */
#include "bounds.h"

#define SESSION_ROLES (B_SUBMISSION | B_LOGIN | B_QUEUE | B_RELAY | B_PICKUP | B_TLSPOLICY)
#define BURST         10

static unsigned most_open(enum role_id peer)
{
	if (peer == ROLE_CLI)
		return OPEN_OF_CLI;
	return SESSION_ROLES & 1u << peer ? OPEN_OF_SESSIONS : OPEN_OF_OTHERS;
}

/* Counted by the reply: several requests can have the same one. */
bool bounds_take(struct open_requests open[MSG_COUNT], unsigned request, enum role_id peer, uint64_t now)
{
	const struct call_type *t = ipc_call_type(request);
	struct open_requests *o;

	if (!t)
		return true;
	o = &open[t->reply];
	if (now - o->since >= t->deadline_ms) {
		o->before = now - o->since < 2 * t->deadline_ms ? o->now : 0;
		o->now = 0;
		o->since = now;
	}
	o->now++;
	return o->now + o->before <= most_open(peer);
}

bool bounds_rate(struct message_rate *r, uint64_t now)
{
	uint64_t most = r->per_s * BURST * 1000, more = (now - r->at) * r->per_s;

	r->tokens_ms = r->at == 0 || more > most - r->tokens_ms ? most : r->tokens_ms + more;
	r->at = now;
	if (r->tokens_ms < 1000)
		return false;
	r->tokens_ms -= 1000;
	return true;
}
