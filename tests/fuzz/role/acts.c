/* acts.c - see acts.h. */
#include "acts.h"

#include "posthouse/arena.h"

unsigned type_named(struct str name)
{
	unsigned type = 0;

	while (type < MSG_COUNT && !str_eq(str_of(message_types[type].name), name))
		type++;
	return type;
}

/* A datagram has its number in front. One that never was a message has no name. */
static struct str datagram_of(struct str named, struct arena *a)
{
	size_t end = str_find(named, '\0');
	uint32_t type = type_named(str_head(named, end));
	struct str rest = str_from(named, end + 1);
	char *bytes = arena_alloc(a, sizeof type + rest.n);

	if (end == 0)
		return rest;
	memcpy(bytes, &type, sizeof type);
	memcpy(bytes + sizeof type, rest.p, rest.n);
	return str_make(bytes, sizeof type + rest.n);
}

static struct str named_of(struct str datagram, struct arena *a)
{
	uint32_t type = MSG_COUNT;
	const char *name;
	char *bytes;
	size_t n;

	if (datagram.n >= sizeof type)
		memcpy(&type, datagram.p, sizeof type);
	name = type < MSG_COUNT ? message_types[type].name : "";
	if (type < MSG_COUNT)
		datagram = str_from(datagram, sizeof type);
	n = strlen(name) + 1;
	bytes = arena_alloc(a, n + datagram.n);
	memcpy(bytes, name, n);
	memcpy(bytes + n, datagram.p, datagram.n);
	return str_make(bytes, n + datagram.n);
}

void acts_read(struct acts *acts, struct str input, struct arena *a)
{
	uint32_t n;

	acts->n = 0;
	acts->flags = input.n ? (uint8_t)input.p[0] : 0;
	input = str_from(input, 1);
	while (acts->n < ACTS_MAX && input.n >= 7) {
		struct act *act = &acts->at[acts->n++];

		act->kind = (uint8_t)input.p[0] % ACT_KINDS;
		act->who = (uint8_t)input.p[1];
		act->what = (uint8_t)input.p[2];
		memcpy(&n, input.p + 3, sizeof n);
		act->bytes = str_head(str_from(input, 7), n);
		input = str_from(input, 7 + act->bytes.n);
		if (act->kind == ACT_MESSAGE)
			act->bytes = datagram_of(act->bytes, a);
	}
}

size_t acts_write(const struct acts *acts, uint8_t *to, size_t room)
{
	struct arena a = { 0 };
	size_t at = 1;

	if (room == 0)
		return 0;
	to[0] = acts->flags;
	for (size_t i = 0; i < acts->n; i++) {
		const struct act *act = &acts->at[i];
		struct str bytes = act->kind == ACT_MESSAGE ? named_of(act->bytes, &a) : act->bytes;
		uint32_t n = (uint32_t)bytes.n;

		if (room - at < 7 + bytes.n)
			break;
		to[at] = act->kind;
		to[at + 1] = act->who;
		to[at + 2] = act->what;
		memcpy(to + at + 3, &n, sizeof n);
		memcpy(to + at + 7, bytes.p, bytes.n);
		at += 7 + bytes.n;
	}
	arena_fini(&a);
	return at;
}

bool can_send(enum role_id role, enum role_id from, unsigned type)
{
	const struct message_type *t = &message_types[type];

	if (!(t->from & 1u << from) || !(t->to & 1u << role) || type == MSG_hello)
		return false;
	return from != ROLE_MASTER || ipc_is_reply(type);
}
