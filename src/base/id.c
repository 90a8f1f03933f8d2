/* id.c - message ids. */
#include "posthouse/id.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#define SEQUENCE_BITS 11
#define WORKER_BITS   6
#define NODE_BITS     4
#define TIME_SHIFT    (SEQUENCE_BITS + WORKER_BITS + NODE_BITS)

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

uint64_t id_next(struct id_source *source, uint64_t now_ms)
{
	assert(!source->waits);
	if (now_ms > source->last_ms) {
		source->last_ms = now_ms;
		source->sequence = 0;
	} else if (++source->sequence == 1u << SEQUENCE_BITS) {
		source->last_ms++; /* more than 2,048 in a millisecond, or a clock that stepped back: run ahead of it */
		source->sequence = 0;
	}
	return (source->last_ms & (((uint64_t)1 << 42) - 1)) << TIME_SHIFT |
	       (uint64_t)(source->node & ((1u << NODE_BITS) - 1)) << (SEQUENCE_BITS + WORKER_BITS) |
	       (uint64_t)(source->worker & ((1u << WORKER_BITS) - 1)) << SEQUENCE_BITS | source->sequence;
}

/* The next id begins another millisecond. */
void id_source_join(struct id_source *source, unsigned node, uint64_t floor_ms)
{
	source->waits = false;
	if (node == source->node && floor_ms <= source->last_ms)
		return;
	source->node = node;
	if (floor_ms > source->last_ms)
		source->last_ms = floor_ms;
	source->sequence = (1u << SEQUENCE_BITS) - 1;
}

const char *id_format(uint64_t id, char text[ID_TEXT_MAX])
{
	for (int i = 12; i >= 0; i--) {
		text[i] = digits[id & 31];
		id >>= 5;
	}
	text[13] = '\0';
	return text;
}

bool id_parse(struct str text, uint64_t *id_out)
{
	uint64_t id = 0;

	if (text.n != 13)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		const char *digit = text.p[i] ? strchr(digits, ascii_lower(text.p[i])) : NULL;

		if (!digit || id >> 59)
			return false;
		id = id << 5 | (uint64_t)(digit - digits);
	}
	if (id >> 63)
		return false;
	*id_out = id;
	return true;
}

uint64_t id_time_ms(uint64_t id)
{
	return id >> TIME_SHIFT;
}

unsigned id_node(uint64_t id)
{
	return id >> (SEQUENCE_BITS + WORKER_BITS) & ((1u << NODE_BITS) - 1);
}

unsigned id_worker(uint64_t id)
{
	return id >> SEQUENCE_BITS & ((1u << WORKER_BITS) - 1);
}

uint64_t id_first_of(uint64_t ms)
{
	return (ms & (((uint64_t)1 << 42) - 1)) << TIME_SHIFT;
}

uint64_t random_u64(void)
{
	uint64_t value;

	if (getrandom(&value, sizeof value, 0) != sizeof value)
		abort();
	return value;
}
