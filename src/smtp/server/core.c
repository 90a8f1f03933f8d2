/* core.c - what all parts of the server machine use: states, questions to the user, the end of a transaction and of the
 * session. */
#include "server.h"

#include <assert.h>

/* From which states a state can be entered, as bits. Everything can end in CLOSED. */
#define FROM(state) (1u << SERVER_##state)
static const unsigned legal[SERVER_STATES] = {
	[SERVER_START] = FROM(NEW) | FROM(START) | FROM(READY) | FROM(TLS),
	[SERVER_READY] = FROM(START) | FROM(READY) | FROM(MAIL) | FROM(RECIPIENT) | FROM(TEXT) | FROM(AUTH) | FROM(CHUNK) |
			 FROM(CHUNKS) | FROM(BROKEN),
	[SERVER_MAIL] = FROM(READY),
	[SERVER_RECIPIENT] = FROM(MAIL),
	[SERVER_TEXT] = FROM(RECIPIENT),
	[SERVER_CHUNK] = FROM(RECIPIENT) | FROM(CHUNKS),
	[SERVER_CHUNKS] = FROM(CHUNK),
	[SERVER_BROKEN] = FROM(RECIPIENT) | FROM(CHUNK),
	[SERVER_AUTH] = FROM(READY) | FROM(AUTH),
	[SERVER_TLS] = FROM(START) | FROM(READY),
	[SERVER_CLOSED] = ~0u,
};

void server_enter(struct smtp_server *s, enum server_state state)
{
	assert((legal[state] & 1u << s->state) != 0);
	s->state = state;
}

bool server_ask(struct smtp_server *s, enum smtp_event_type type, struct smtp_event *event_out)
{
	s->waiting = true;
	s->asked = type;
	event_out->type = type;
	return true;
}

void server_close(struct smtp_server *s, enum server_due why)
{
	if (s->state == SERVER_CLOSED)
		return;
	s->due |= why;
	server_enter(s, SERVER_CLOSED);
}

void server_end_transaction(struct smtp_server *s)
{
	s->errors += s->refused_recipients;
	s->recipients = s->refused_recipients = 0;
	server_enter(s, SERVER_READY);
}

const struct server_command *server_find_command(const struct smtp_server *s, struct str verb)
{
	for (const struct server_command *c = s->verbs; c->verb.n > 0; c++)
		if (str_ieq(c->verb, verb))
			return c;
	return NULL;
}
