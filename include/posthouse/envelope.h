/* envelope.h - the envelope of a message, embedded by value wherever one is kept or passed on; its fields: envelope.def. */
#ifndef POSTHOUSE_ENVELOPE_H
#define POSTHOUSE_ENVELOPE_H

#include "posthouse/arena.h"
#include "posthouse/envelope.def"

/* Texts are views. A copy of an envelope that outlives them gets its own by envelope_keep(). */
struct envelope {
#define FIELD_str(name)                       struct str name;
#define FIELD_u64(name)                       uint64_t name;
#define FIELD(type, name, stored, seen, most) FIELD_##type(name)
	ENVELOPE_FIELDS(FIELD)
#undef FIELD
#undef FIELD_str
#undef FIELD_u64
};

/* Copy the texts into the arena. */
static inline void envelope_keep(struct arena *a, struct envelope *e)
{
#define FIELD_str(name) e->name = arena_str(a, e->name);
#define FIELD_u64(name)
#define FIELD(type, name, stored, seen, most) FIELD_##type(name)
	ENVELOPE_FIELDS(FIELD)
#undef FIELD
#undef FIELD_str
#undef FIELD_u64
}

/* How many bytes all texts have. */
static inline size_t envelope_bytes(const struct envelope *e)
{
#define FIELD_str(name) +e->name.n
#define FIELD_u64(name)
#define FIELD(type, name, stored, seen, most) FIELD_##type(name)
	return 0 ENVELOPE_FIELDS(FIELD);
#undef FIELD
#undef FIELD_str
#undef FIELD_u64
}

#endif
