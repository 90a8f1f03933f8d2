/* id.h - message ids: 42 bits of milliseconds, 4 of node, 6 of worker, 11 of sequence, so that ids sort by time
 * and no two workers make the same one. Written as 13 lower-case characters of base 32 (no i, l, o, u). */
#ifndef POSTHOUSE_ID_H
#define POSTHOUSE_ID_H

#include "posthouse/str.h"

#define ID_TEXT_MAX 14

/* Workers that are no submission process: their ids are of this node, those of submission's are of node 0. */
#define ID_NODE_OTHERS 15
enum { ID_WORKER_TLSPOLICY = 60, ID_WORKER_PARTS = 61, ID_WORKER_PICKUP = 62, ID_WORKER_QUEUE = 63 };

struct id_source {
	unsigned node, worker;
	uint64_t last_ms;
	unsigned sequence;
};

/* The next id, greater than every earlier one of this source even when the clock steps back. */
uint64_t id_next(struct id_source *source, uint64_t now_ms);

/* The 13 characters and a NUL into `text`, which is also returned. */
const char *id_format(uint64_t id, char text[ID_TEXT_MAX]);

/* Case is ignored; false when it is no id. */
bool id_parse(struct str text, uint64_t *id_out);

/* The time and the worker within an id; and the lowest id of a time. */
uint64_t id_time_ms(uint64_t id);
unsigned id_worker(uint64_t id);
uint64_t id_first_of(uint64_t ms);

/* 64 random bits from the kernel. */
uint64_t random_u64(void);

#endif
