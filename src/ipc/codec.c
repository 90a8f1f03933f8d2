/* codec.c - messages to datagrams and back, all from messages.def. A datagram is the type (32 bits), the call (64 bits), then the
 * fields in order: numbers as 64 bits, texts as a 32-bit length and bytes, lists as a 32-bit count and records. Both ends are the
 * same build on the same machine, so numbers stay in its byte order. */
#include "table.h"

#include "posthouse/hash.h"

#define PUT_RAW(b, value) buf_add((b), str_make(&(value), sizeof(value)))

/* ---- encoding ---- */
static bool put_u64(struct buf *b, uint64_t value)
{
	return PUT_RAW(b, value);
}

static bool put_u32(struct buf *b, uint32_t value)
{
	return PUT_RAW(b, value);
}

static bool put_str(struct buf *b, struct str s)
{
	return s.n <= UINT32_MAX && put_u32(b, (uint32_t)s.n) && buf_add(b, s);
}

static bool put_verdict(struct buf *b, struct verdict v)
{
	return put_u64(b, (uint64_t)v.class << 16 | v.code) && put_str(b, v.enhanced) && put_str(b, v.text);
}

/* Those fields that the receiver is to see. */
static bool put_envelope(struct buf *b, const struct envelope *e, unsigned receiver)
{
#define FIELD(type, name, stored, seen, most) &&(!((seen)&receiver) || put_##type(b, e->name))
	return true ENVELOPE_FIELDS(FIELD);
#undef FIELD
}

#define NOTHING
#define ENVELOPE(field) fits = fits && put_envelope(b, &m->field, receiver);
#define U64(field)      fits = fits && put_u64(b, m->field);
#define STR(field)      fits = fits && put_str(b, m->field);
#define VERDICT(field)  fits = fits && put_verdict(b, m->field);
#define LIST(record, field)                                                                                                      \
	fits = fits && m->field.n <= UINT32_MAX && put_u32(b, (uint32_t)m->field.n);                                             \
	for (size_t i = 0; fits && i < m->field.n; i++)                                                                          \
		fits = put_rec_##record(b, &m->field.at[i]);
#define RECORD(name, fields)                                                                                                     \
	static bool put_rec_##name(struct buf *b, const struct rec_##name *m)                                                    \
	{                                                                                                                        \
		bool fits = true;                                                                                                \
		fields return fits;                                                                                              \
	}
#define MSG(name, from, to, passes, flags, fields)                                                                               \
	static bool put_msg_##name(struct buf *b, const void *message)                                                           \
	{                                                                                                                        \
		const struct msg_##name *m = message;                                                                            \
		const unsigned receiver = to;                                                                                    \
		bool fits = true;                                                                                                \
		(void)receiver;                                                                                                  \
		(void)m;                                                                                                         \
		(void)b;                                                                                                         \
		fields return fits;                                                                                              \
	}
#define CALL(request, reply, deadline_ms)
#include "posthouse/messages.def"
#undef RECORD
#undef MSG
#undef U64
#undef STR
#undef VERDICT
#undef ENVELOPE
#undef LIST

/* ---- decoding ---- */
static bool get_raw(struct str *in, void *to, size_t n)
{
	if (in->n < n)
		return false;
	memcpy(to, in->p, n);
	*in = str_from(*in, n);
	return true;
}

static bool get_u64(struct str *in, uint64_t *value)
{
	return get_raw(in, value, sizeof *value);
}

static bool get_str(struct str *in, struct str *s)
{
	uint32_t n;

	if (!get_raw(in, &n, sizeof n) || in->n < n)
		return false;
	*s = str_head(*in, n);
	*in = str_from(*in, n);
	return true;
}

static bool get_verdict(struct str *in, struct verdict *v)
{
	uint64_t both;

	if (!get_u64(in, &both) || both >> 16 > PERM)
		return false;
	v->class = (enum verdict_class)(both >> 16);
	v->code = (uint16_t)both;
	return get_str(in, &v->enhanced) && get_str(in, &v->text);
}

/* The smallest record is a text's length: so a count is never larger than the bytes that are there allow. */
static bool get_count(struct str *in, size_t *n)
{
	uint32_t count;

	if (!get_raw(in, &count, sizeof count) || count > in->n / sizeof(uint32_t))
		return false;
	*n = count;
	return true;
}

/* The memory is zero: a field that is not sent is empty. */
static bool get_envelope(struct str *in, struct envelope *e, unsigned receiver)
{
#define FIELD(type, name, stored, seen, most) &&(!((seen)&receiver) || get_##type(in, &e->name))
	return true ENVELOPE_FIELDS(FIELD);
#undef FIELD
}

#define ENVELOPE(field) good = good && get_envelope(in, &m->field, receiver);
#define U64(field)      good = good && get_u64(in, &m->field);
#define STR(field)      good = good && get_str(in, &m->field);
#define VERDICT(field)  good = good && get_verdict(in, &m->field);
#define LIST(record, field)                                                                                                      \
	good = good && get_count(in, &m->field.n);                                                                               \
	if (good)                                                                                                                \
		m->field.at = ARENA_ARRAY(a, struct rec_##record, m->field.n);                                                   \
	for (size_t i = 0; good && i < m->field.n; i++)                                                                          \
		good = get_rec_##record(in, &m->field.at[i]);
#define RECORD(name, fields)                                                                                                     \
	static bool get_rec_##name(struct str *in, struct rec_##name *m)                                                         \
	{                                                                                                                        \
		bool good = true;                                                                                                \
		fields return good;                                                                                              \
	}
#define MSG(name, from, to, passes, flags, fields)                                                                               \
	static bool get_msg_##name(struct arena *a, struct str *in, union ipc_message *message)                                  \
	{                                                                                                                        \
		struct msg_##name *m = &message->name;                                                                           \
		const unsigned receiver = to;                                                                                    \
		bool good = true;                                                                                                \
		(void)receiver;                                                                                                  \
		(void)a;                                                                                                         \
		(void)in;                                                                                                        \
		(void)m;                                                                                                         \
		fields return good;                                                                                              \
	}
#include "posthouse/messages.def"
#undef RECORD
#undef MSG
#undef CALL
#undef U64
#undef STR
#undef VERDICT
#undef ENVELOPE
#undef LIST

/* ---- the tables ---- */
#define RECORD(name, fields)
#define CALL(request, reply, deadline_ms)
#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = { #name, from, to, passes, flags },
const struct message_type message_types[MSG_COUNT] = {
#include "posthouse/messages.def"
};
#undef MSG

#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = put_msg_##name,
static bool (*const encoders[MSG_COUNT])(struct buf *b, const void *message) = {
#include "posthouse/messages.def"
};
#undef MSG

#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = get_msg_##name,
static bool (*const decoders[MSG_COUNT])(struct arena *a, struct str *in, union ipc_message *message) = {
#include "posthouse/messages.def"
};
#undef MSG
#undef CALL

#define MSG(name, from, to, passes, flags, fields)
#define CALL(request, reply, deadline_ms)                                                                                        \
	static void answer_##request(void (*on_reply)(void), void *ctx, struct verdict v, const union ipc_message *m, int fd)    \
	{                                                                                                                        \
		((ipc_on_##request)on_reply)(ctx, v, m ? &m->reply : NULL, fd);                                                  \
	}
#include "posthouse/messages.def"
#undef CALL

#define CALL(request, reply, deadline_ms) [MSG_##request] = { MSG_##reply, deadline_ms, answer_##request },
static const struct call_type call_types[MSG_COUNT] = {
#include "posthouse/messages.def"
};
#undef CALL

#undef MSG

#define CALL(request, reply, deadline_ms)
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
#undef MSG

#define MSG(name, from, to, passes, flags, fields) [MSG_##name] = dispatch_##name,
static bool (*const dispatchers[MSG_COUNT])(const struct ipc_handlers *h, void *ctx, struct channel *ch,
					    const union ipc_message *m, int fd) = {
#include "posthouse/messages.def"
};
#undef MSG
#undef RECORD
#undef CALL

const struct call_type *ipc_call_type(unsigned request)
{
	return request < MSG_COUNT && call_types[request].answer ? &call_types[request] : NULL;
}

bool ipc_is_reply(unsigned type)
{
	for (unsigned request = 0; request < MSG_COUNT; request++)
		if (call_types[request].answer && call_types[request].reply == type)
			return true;
	return false;
}

bool ipc_is_secret(struct str datagram)
{
	uint32_t type;

	return !get_raw(&datagram, &type, sizeof type) || type >= MSG_COUNT || message_types[type].flags & SECRET;
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
#undef METRIC
#undef ROLE
#undef RECORD
#undef MSG
#undef CALL
	return hash_fixed(0, S(text));
}

bool ipc_encode(struct buf *b, enum msg_type type, uint64_t call, const void *message)
{
	return put_u32(b, (uint32_t)type) && put_u64(b, call) && encoders[type](b, message);
}

bool ipc_decode(struct arena *a, struct str datagram, enum role_id from, enum role_id to, bool has_fd, enum msg_type *type_out,
		union ipc_message **message_out)
{
	const struct message_type *t;
	union ipc_message *m;
	uint32_t type;
	uint64_t call;

	if (!get_raw(&datagram, &type, sizeof type) || type >= MSG_COUNT || !get_u64(&datagram, &call))
		return false;
	t = &message_types[type];
	if (!(t->from & 1u << from) || !(t->to & 1u << to))
		return false;
	if ((t->fd == FD_NONE && has_fd) || (t->fd == FD_ONE && !has_fd))
		return false;
	m = ARENA_NEW(a, union ipc_message);
	m->call = call;
	if (!decoders[type](a, &datagram, m) || datagram.n != 0)
		return false;
	*type_out = (enum msg_type)type;
	*message_out = m;
	return true;
}
