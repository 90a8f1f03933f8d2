/* sender_pause.h - a next hop refuses one sender, an address or a domain: mail of this sender waits or takes the next choice of
 * its route, and all other mail goes on. The pauses are kept over restarts, in the store's table of next hops. */
#ifndef QUEUE_SENDER_PAUSE_H
#define QUEUE_SENDER_PAUSE_H

#include "posthouse/hashtable.h"
#include "posthouse/meaning.h"
#include "posthouse/store.h"

struct nexthop;
struct dispatch;

struct sender_pause {
	struct hashtable_item in_table;
	struct list in_all;
	char *name; /* "upstream:isp from @example.org" */
	char *reason;
	uint64_t given_at, until, failures;
	uint64_t pause_ms; /* the length of the pause that ends at `until` */
	uint64_t tried_at; /* when the last delivery that was refused was begun; 0: none since the restart */
};

struct sender_pauses {
	struct hashtable table;
	struct list all; /* those that a delivery met last are at the end; bounded */
};

void sender_pauses_init(struct dispatch *d);
void sender_pauses_fini(struct dispatch *d);

/* Take over a row of the store's table of next hops; false: it is not the row of a pause. */
bool sender_pause_load(struct dispatch *d, const struct gate_state *row);

/* The next hop refuses mail of this sender for a while: of the address (SCOPE_SENDER), or of its domain (SCOPE_DOMAIN). */
struct sender_refusal {
	enum scope scope;
	uint64_t meaning, pause_ms; /* as in `result` */
	struct str reason;
	uint64_t tried_at; /* when the delivery was begun */
};
void sender_pause_begin(struct nexthop *hop, struct str sender, const struct sender_refusal *r, uint64_t now);

/* The pause of this sender at this next hop; NULL: there is none now. */
const struct sender_pause *sender_pause_of(const struct nexthop *hop, struct str sender, uint64_t now);

/* A delivery of this sender is begun after a pause: other mail of the sender waits for its result. */
void sender_pause_probe(struct nexthop *hop, struct str sender, uint64_t now);

/* The next hop took mail of this sender. */
void sender_pause_end(struct nexthop *hop, struct str sender, uint64_t now);

/* The clock was set back: pauses that would now last longer than they were meant to are over, also in the store. */
void sender_pauses_mend(struct dispatch *d, uint64_t now);

/* Forget the pauses that no delivery has met for a day. */
void sender_pauses_collect(struct dispatch *d, uint64_t now);

/* End all pauses, because an administrator or a new configuration says that it is worth a try. */
void sender_pauses_probe_now(struct dispatch *d);

void sender_pauses_stats(struct dispatch *d);

#endif
