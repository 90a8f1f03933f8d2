/* gate.h - the health of a next hop, and how many deliveries it may have at once. A gate that is down (the host is away, our login
 * or our TLS fails there) keeps the mail where it is; after a pause that grows, one delivery probes it. */
#ifndef QUEUE_GATE_H
#define QUEUE_GATE_H

#include "posthouse/list.h"
#include "posthouse/config.h"
#include "posthouse/store.h"

struct queue;

enum gate_status { GATE_UP, GATE_DOWN, GATE_PROBING };

struct gate {
	struct list in_gates;
	struct queue *queue;
	char *name;   /* "upstream:isp" */
	char *reason; /* why it is down; "" otherwise */
	enum gate_status status;
	uint64_t down_until, failures, last_ok_at;
	size_t connections; /* of the configuration; 0: no route leads here any more */
	size_t in_flight;   /* deliveries that relay has */
	size_t parked_n;    /* deliveries that are leased and wait for a slot: they hide the store's latency */
	struct list parked; /* struct lease, in_list */
};

struct gates {
	struct list all;
	bool known; /* the states that were kept over the restart have been read */
};

void gates_init(struct queue *q);
void gates_fini(struct queue *q);

/* Read the states from before the restart; then the scheduler starts. */
void gates_load(struct queue *q);

/* The configuration has changed: new connection counts, and what is down is tried at once. */
void gates_apply(struct queue *q);

/* The gate of an upstream. */
struct gate *gate_of(struct queue *q, const struct cfg_upstream *u);

/* Deliveries that may be sent now, and those that may be leased in advance. */
size_t gate_slots(const struct gate *g);
size_t gate_room(const struct gate *g);

/* Is there a place for a delivery that was leased already? More generous than the room: a message may split into several, and the
 * room of other gates was counted too. */
bool gate_takes(const struct gate *g);

/* All gates together; *wake_at_out: when a pause ends (0: none). */
size_t gates_room(struct queue *q, uint64_t now, uint64_t *wake_at_out);

/* The next hop works, or is at fault; true when this is news. */
bool gate_worked(struct gate *g, uint64_t now);
bool gate_failed(struct gate *g, struct str reason, uint64_t now);

/* End all pauses: an administrator or a new configuration says that it is worth a try. */
void gates_probe_now(struct queue *q);

#endif
