/* id.h - message ids: 42 bits of milliseconds, 4 of node, 6 of worker, 11 of sequence, so that ids sort by time
 * and no two workers make the same one. Written as 13 lower-case characters of base 32 (no i, l, o, u).
 *
 * The number of a node of a cluster is 1 to 15, and all ids that it makes have it; it is 0 without a cluster. A node learns its
 * number from the database (message node_is), together with a time above which all its ids are: so a number that was another
 * node's before, or a clock that was set back, brings no id again. */
#ifndef POSTHOUSE_ID_H
#define POSTHOUSE_ID_H

#include "posthouse/str.h"

#define ID_TEXT_MAX 14

/* Workers that are no submission process, of which there can be 64. So, while the node has no number, the ids of these workers
 * are of node 15, those of submission's of node 0. In a cluster all ids of a node have its number, and it has at most
 * ID_CLUSTER_WORKERS_MAX submission processes. */
#define ID_NODE_OTHERS         15
#define ID_CLUSTER_NODES_MAX   15
#define ID_CLUSTER_WORKERS_MAX 60
enum { ID_WORKER_TLSPOLICY = 60, ID_WORKER_PARTS = 61, ID_WORKER_PICKUP = 62, ID_WORKER_QUEUE = 63 };

struct id_source {
	unsigned node, worker;
	uint64_t last_ms;
	unsigned sequence;
	bool waits; /* for the node's number: no id is to be made */
};

/* The next id, greater than every earlier one of this source even when the clock steps back. */
uint64_t id_next(struct id_source *source, uint64_t now_ms);

/* From now on its ids are of this node and above floor_ms. They are also above all that it has made so far. It waits no more. */
void id_source_join(struct id_source *source, unsigned node, uint64_t floor_ms);

/* The 13 characters and a NUL into `text`, which is also returned. */
const char *id_format(uint64_t id, char text[ID_TEXT_MAX]);

/* Case is ignored; false when it is no id. */
bool id_parse(struct str text, uint64_t *id_out);

/* The time, the node and the worker within an id; and the lowest id of a time. */
uint64_t id_time_ms(uint64_t id);
unsigned id_node(uint64_t id);
unsigned id_worker(uint64_t id);
uint64_t id_first_of(uint64_t ms);

/* 64 random bits from the kernel. */
uint64_t random_u64(void);

#endif
