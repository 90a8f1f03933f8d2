/* codec.c - messages to datagrams and back, all from messages.def. A datagram is the type (32 bits), the call (64 bits), then the
 * fields in order: numbers as 64 bits, texts as a 32-bit length and bytes, lists as a 32-bit count and records. Both ends are the
 * same build on the same machine, so numbers stay in its byte order. */
#include "table.h"

#include "posthouse/hash.h"

/* One walk over the fields for both directions, so what is written and what is read cannot differ. */
struct coder {
	struct buf *out;     /* encoding: the datagram, and the message stays as it is; NULL: decoding */
	struct str in;       /* decoding: the rest of the datagram */
	struct arena *arena; /* decoding: for the records of lists */
	unsigned receiver;   /* bits of the roles that can get the message */
};

static bool code_raw(struct coder *c, void *p, size_t n)
{
	if (c->out)
		return buf_add(c->out, str_make(p, n));
	if (c->in.n < n)
		return false;
	memcpy(p, c->in.p, n);
	c->in = str_from(c->in, n);
	return true;
}

static bool code_u64(struct coder *c, uint64_t *value)
{
	return code_raw(c, value, sizeof *value);
}

/* The number of elements, each of at least so many bytes: a count is never larger than the rest of the datagram allows. */
static bool code_count(struct coder *c, size_t *n, size_t smallest)
{
	uint32_t count = (uint32_t)*n;

	if (c->out)
		return *n <= UINT32_MAX && code_raw(c, &count, sizeof count);
	if (!code_raw(c, &count, sizeof count) || count > c->in.n / smallest)
		return false;
	*n = count;
	return true;
}

static bool code_str(struct coder *c, struct str *s)
{
	if (!code_count(c, &s->n, 1))
		return false;
	if (c->out)
		return buf_add(c->out, *s);
	s->p = c->in.p;
	c->in = str_from(c->in, s->n);
	return true;
}

static bool code_verdict(struct coder *c, struct verdict *v)
{
	uint64_t both = (uint64_t)v->class << 16 | v->code;

	if (!code_u64(c, &both) || both >> 16 > PERM)
		return false;
	if (!c->out) {
		v->class = (enum verdict_class)(both >> 16);
		v->code = (uint16_t)both;
	}
	return code_str(c, &v->enhanced) && code_str(c, &v->text);
}

/* Those fields that the receiver is to see; a field that is not sent is empty there, since decoding begins with zeros. */
static bool code_envelope(struct coder *c, struct envelope *e)
{
#define FIELD(type, name, stored, seen, most) &&(!((seen)&c->receiver) || code_##type(c, &e->name))
	return true ENVELOPE_FIELDS(FIELD);
#undef FIELD
}

/* The bytes of the smallest record of each kind: a list never has more records than the rest of the datagram has room for, so
 * that they take little more memory than the datagram. */
#define U64(field)           +sizeof(uint64_t)
#define STR(field)           +sizeof(uint32_t)
#define VERDICT(field)       +sizeof(uint64_t) + 2 * sizeof(uint32_t)
#define RECORD(name, fields) enum { least_##name = 0 fields };
#include "posthouse/messages.def"

/* clang-format off */
#define NOTHING
#define ENVELOPE(field)     && code_envelope(c, &m->field)
#define U64(field)          && code_u64(c, &m->field)
#define STR(field)          && code_str(c, &m->field)
#define VERDICT(field)      && code_verdict(c, &m->field)
#define LIST(record, field) && code_list_##record(c, &m->field.at, &m->field.n)
/* clang-format on */
#define RECORD(name, fields)                                                                                                     \
	static bool code_rec_##name(struct coder *c, struct rec_##name *m)                                                       \
	{                                                                                                                        \
		return true fields;                                                                                              \
	}                                                                                                                        \
	static bool code_list_##name(struct coder *c, struct rec_##name **at, size_t *n)                                         \
	{                                                                                                                        \
		bool good = code_count(c, n, least_##name);                                                                      \
		if (good && !c->out)                                                                                             \
			*at = ARENA_ARRAY(c->arena, struct rec_##name, *n);                                                      \
		for (size_t i = 0; good && i < *n; i++)                                                                          \
			good = code_rec_##name(c, &(*at)[i]);                                                                    \
		return good;                                                                                                     \
	}
#define MSG(name, from, to, passes, flags, fields)                                                                               \
	static bool code_msg_##name(struct coder *c, void *message)                                                              \
	{                                                                                                                        \
		struct msg_##name *m = message;                                                                                  \
		(void)m;                                                                                                         \
		return true fields;                                                                                              \
	}
#include "posthouse/messages.def"

/* ---- the tables ---- */
#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = { #name, from, to, passes, flags },
const struct message_type message_types[MSG_COUNT] = {
#include "posthouse/messages.def"
};

#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = code_msg_##name,
static bool (*const coders[MSG_COUNT])(struct coder *c, void *message) = {
#include "posthouse/messages.def"
};

#define CALL(request, reply, deadline_ms)                                                                                        \
	static void answer_##request(void (*on_reply)(void), void *ctx, struct verdict v, const union ipc_message *m, int fd)    \
	{                                                                                                                        \
		((ipc_on_##request)on_reply)(ctx, v, m ? &m->reply : NULL, fd);                                                  \
	}
#include "posthouse/messages.def"

#define CALL(request, reply, deadline_ms) [MSG_##request] = { MSG_##reply, deadline_ms, answer_##request },
static const struct call_type call_types[MSG_COUNT] = {
#include "posthouse/messages.def"
};

#define MSG(name, from, to, passes, flags, fields)                                                                               \
	static bool dispatch_##name(const struct ipc_handlers *h, void *ctx, struct channel *ch, const union ipc_message *m,     \
				    int fd)                                                                                      \
	{                                                                                                                        \
		if (!h->name)                                                                                                    \
			return false;                                                                                            \
		h->name(ctx, ch, &m->name, fd);                                                                                  \
		return true;                                                                                                     \
	}
#include "posthouse/messages.def"

#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = dispatch_##name,
static bool (*const dispatchers[MSG_COUNT])(const struct ipc_handlers *h, void *ctx, struct channel *ch,
					    const union ipc_message *m, int fd) = {
#include "posthouse/messages.def"
};

const struct call_type *ipc_call_type(unsigned request)
{
	return request < MSG_COUNT && call_types[request].answer ? &call_types[request] : NULL;
}

/* Asked for each message: looked up once. */
bool ipc_is_reply(unsigned type)
{
	static bool replies[MSG_COUNT], known;

	for (unsigned request = 0; !known && request < MSG_COUNT; request++)
		if (call_types[request].answer)
			replies[call_types[request].reply] = true;
	known = true;
	return type < MSG_COUNT && replies[type];
}

bool ipc_is_secret(struct str datagram)
{
	struct coder c = { .in = datagram };
	uint32_t type;

	return !code_raw(&c, &type, sizeof type) || type >= MSG_COUNT || message_types[type].flags & SECRET;
}

bool ipc_dispatch(const struct ipc_handlers *h, void *ctx, struct channel *ch, enum msg_type type, const union ipc_message *m,
		  int fd)
{
	return dispatchers[type](h, ctx, ch, m, fd);
}

const char *ipc_message_name(unsigned type)
{
	return type < MSG_COUNT ? message_types[type].name : "unknown";
}

uint64_t ipc_table_hash(void)
{
#define RECORD(name, fields)                       "R" #name #fields
#define MSG(name, from, to, passes, flags, fields) "M" #name #from #to #passes #flags #fields
#define CALL(request, reply, deadline_ms)          "C" #request #reply
#define ROLE(...)                                  "P" #__VA_ARGS__
#define METRIC(ID, role, ...)                      "N" #ID #role
#define FIELD(...)                                 "E" #__VA_ARGS__
	static const char text[] = POSTHOUSE_VERSION ENVELOPE_FIELDS(FIELD)
#include "posthouse/messages.def"
#include "posthouse/roles.def"
#include "posthouse/metrics.def"
		;
#undef FIELD
	return hash_fixed(0, S(text));
}

bool ipc_encode(struct buf *b, enum msg_type type, uint64_t call, const void *message)
{
	struct coder c = { .out = b, .receiver = message_types[type].to };
	uint32_t number = (uint32_t)type;

	return code_raw(&c, &number, sizeof number) && code_u64(&c, &call) && coders[type](&c, (void *)(uintptr_t)message);
}

bool ipc_decode(struct arena *a, struct str datagram, enum role_id from, enum role_id to, bool has_fd, enum msg_type *type_out,
		union ipc_message **message_out)
{
	struct coder c = { .in = datagram, .arena = a };
	const struct message_type *t;
	union ipc_message *m;
	uint32_t type;
	uint64_t call;

	if (!code_raw(&c, &type, sizeof type) || type >= MSG_COUNT || !code_u64(&c, &call))
		return false;
	t = &message_types[type];
	if (!(t->from & 1u << from) || !(t->to & 1u << to))
		return false;
	if ((t->fd == FD_NONE && has_fd) || (t->fd == FD_ONE && !has_fd))
		return false;
	m = ARENA_NEW(a, union ipc_message);
	m->call = call;
	c.receiver = t->to;
	if (!coders[type](&c, m) || c.in.n != 0)
		return false;
	*type_out = (enum msg_type)type;
	*message_out = m;
	return true;
}
