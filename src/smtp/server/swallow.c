/* swallow.c - a text that broke a rule: the first fault is what the client hears, the rest of the text is thrown away, within
 * bounds. */
#include "server.h"

#include "posthouse/units.h"

/* A refused text can be SWALLOW_TIMES the size limit, and always SWALLOW_LEAST bytes, before the connection is closed. */
#define SWALLOW_TIMES 8
#define SWALLOW_LEAST (16 * MIB)

void server_set_fault(struct smtp_server *s, struct verdict v)
{
	if (!s->has_fault)
		s->fault = v;
	s->has_fault = true;
}

void server_set_lone_fault(struct smtp_server *s)
{
	server_set_fault(s, perm(550, S("5.6.11"),
				 S("The message contains a CR or LF that is not part of CR LF; lines must end with CR LF")));
}

uint64_t server_swallow_room(const struct smtp_server *s)
{
	uint64_t size = s->config->message_size;
	uint64_t limit = size > UINT64_MAX / SWALLOW_TIMES ? UINT64_MAX : size * SWALLOW_TIMES;

	if (limit < SWALLOW_LEAST)
		limit = SWALLOW_LEAST;
	if (!s->authenticated && !s->trusted) /* a client that begins with a chunk, without a login */
		limit = SWALLOW_MAX;
	return limit > s->swallowed_text ? limit - s->swallowed_text : 0;
}

void server_end_swallowing(struct smtp_server *s)
{
	struct verdict v = perm(552, S("5.3.4"), S("Message far too large, closing the connection"));

	server_tell_refusal(s, S(""), S(""), v);
	server_refuse(s, v);
	server_close(s, DUE_CLOSE);
}

void server_swallow(struct smtp_server *s, size_t n)
{
	bool too_much = n > server_swallow_room(s);

	buf_consume(&s->in, n);
	s->swallowed_text += n;
	if (too_much)
		server_end_swallowing(s);
}
