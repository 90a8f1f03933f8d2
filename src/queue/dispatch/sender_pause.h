/* sender_pause.h - what a next hop holds against one sender: mail of this sender (an address, or a domain) waits there or takes another way, and all
 * other mail goes on. Kept with the gates over restarts. */
#ifndef QUEUE_SENDER_PAUSE_H
#define QUEUE_SENDER_PAUSE_H

#include "posthouse/hash.h"
#include "posthouse/hashtable.h"

#include "posthouse/meaning.h"
#include "posthouse/store.h"

struct gate;
struct dispatch;

struct pause {
	struct hashtable_item item;
	struct list in_all;
	char *name; /* "upstream:isp from @example.org" */
	char *reason;
	uint64_t given_at, until, failures;
	uint64_t pause_ms; /* that ends at `until` */
	uint64_t tried_at; /* when the last delivery that met it was begun; 0: not since the restart */
};

struct pauses {
	struct hashtable table;
	struct list all; /* those that were met last at the end; bounded */
};

void pauses_init(struct dispatch *d);
void pauses_fini(struct dispatch *d);

/* Take over a row of the gates' table; false: it is none of these. */
bool pause_load(struct dispatch *d, const struct gate_state *row);

/* The next hop refuses this sender's mail, as the address (SCOPE_SENDER) or its domain (SCOPE_DOMAIN), for a while. */
struct refusal {
	enum scope scope;
	uint64_t meaning, pause_ms; /* as in `result` */
	struct str reason;
	uint64_t tried_at; /* when the delivery was begun */
};
void pause_begin(struct gate *g, struct str sender, const struct refusal *r, uint64_t now);

/* What holds up this sender's mail there now; NULL: nothing. */
const struct pause *pause_of(const struct gate *g, struct str sender, uint64_t now);

/* A delivery of this sender is begun after a pause: others wait for what comes of it. */
void pause_probe(struct gate *g, struct str sender, uint64_t now);

/* The next hop took mail of this sender. */
void pause_end(struct gate *g, struct str sender, uint64_t now);

/* The clock was set back: a pause that would last longer than it was made for is over, also in the store. */
void pauses_mend(struct dispatch *d, uint64_t now);

/* Forget those that nobody has met for a day. */
void pauses_collect(struct dispatch *d, uint64_t now);

/* An administrator or a new configuration says that it is worth a try. */
void pauses_probe_now(struct dispatch *d);

void pauses_stats(struct dispatch *d);

#endif
