/* postgresql.h - the inside of the engine that keeps mail in a PostgreSQL database which several nodes share. The store's writer
 * owns `struct postgresql` and its connection; the node's thread (beat.c) has a connection of its own, and shares struct node.
 * A recipient that waits has one row: in `due`, or, while a node delivers it, in `taken`. */
#ifndef POSTHOUSE_STORE_POSTGRESQL_H
#define POSTHOUSE_STORE_POSTGRESQL_H

#include "gather.h"
#include "node.h"
#include "rows.h"
#include "schema.h"

/* ---- taken.c: the numbers of the takes of this process that have no result so far. A recipient can be there twice, when another
 * node has given it back and this one has taken it again ---- */
struct take {
	struct hashtable_item node; /* its number */
	bool ended;                 /* by the open transaction */
	struct take *next_ended, *next_added;
};
struct taken {
	struct hashtable takes;
	struct take *ended, *added; /* by the open transaction */
};
void taken_fini(struct taken *t);
void taken_add(struct taken *t, uint64_t take_no);
bool taken_has(const struct taken *t, uint64_t take_no);
void taken_end(struct taken *t, uint64_t take_no); /* the open transaction ends it, if it is known */
void taken_commit(struct taken *t);
void taken_rollback(struct taken *t);
/* Rows of this node that memory does not know are of a take whose answer was lost: they are due again at once. */
void taken_reconcile(struct engine *e);

/* ---- results.c: what is known of the recipients and messages whose results the open transaction stores ---- */
struct results {
	const struct request **expected; /* in the arena of the batch, until they are read */
	size_t n, capacity;
	struct hashtable recipients, messages;
};
void results_expect(struct engine *e, const struct request *request);
void results_forget(struct results *r);
void results_fini(struct results *r);
/* For gather.c. Is the recipient known? / So many recipients of the message are closed; false: the message is not known. / The
 * message, or with 0 each, has changed. */
bool results_has(const struct results *r, uint64_t id, uint64_t n);
bool results_close(struct results *r, uint64_t id, uint64_t n);
void results_changed(struct results *r, uint64_t id);

/* ---- cursors.c: where the takes of a lane begin, by lane ---- */
struct lane_cursor {
	uint64_t fresh, tried; /* of recipients that were never tried, and of the others; 0: the whole lane */
};
struct lane_cursor cursor_of(const struct hashtable *cursors, uint64_t lane);
/* The lane is told of something that is due then. / The lane was emptied so far, at the time `now`. / With this cursor the lane
 * does not sleep longer. */
void cursor_lower(const struct hashtable *cursors, uint64_t lane, uint64_t due_at);
void cursor_set(struct hashtable *cursors, uint64_t lane, struct lane_cursor at, uint64_t now);
uint64_t cursor_sleep_until(struct lane_cursor at, uint64_t now);
void cursors_clear(struct hashtable *cursors);
void cursors_tidy(struct hashtable *cursors);

/* ---- leases.c: the leases of the open batch ---- */
struct expected_lease {
	struct request *request;
	bool done;
	struct due_message *messages; /* in the arena of the request */
	size_t messages_n, capacity, recipients_capacity;
	size_t asked_n, taken_n, round_begin; /* of the last statement */
	bool full_group;                      /* it gave as many recipients of one message as it can */
	struct lane_cursor reached;
};
struct leases {
	struct expected_lease *at; /* in the arena of the batch */
	size_t n, capacity;
};
void leases_expect(struct engine *e, struct request *r);
void leases_forget(struct leases *l);

/* ---- charges.c: charges and states of buckets, which are written at the end of the transaction ---- */
struct charge {
	const struct bucket_row *row;
	size_t place;        /* in the order in which they were added */
	uint64_t *state_out; /* what the bucket is with this transaction; NULL: nobody asks */
	uint64_t *state;     /* of all charges of the bucket that are written together */
};
struct charges {
	struct charge *at; /* in the arena of the batch */
	size_t n, capacity;
};
void charges_write(struct engine *e);
void charges_tell(struct engine *e); /* they are committed */
void charges_hold(struct engine *e); /* the buckets of `held` */

/* ---- janitor.c: what has time ---- */
struct janitor {
	uint64_t partitions_at, history_at, lanes_at; /* monotonic: when these are looked after next */
	uint64_t history_before;                      /* history is pruned up to this time; 0: not so far */
	uint64_t lane;                                /* the last one that was looked at */
};
/* Drop some lanes in which nobody waits, in a transaction. / Make and drop partitions, outside; false after an error. */
void janitor_lanes(struct engine *e);
bool janitor_days(struct engine *e);

/* Of large texts, which are never in memory as a whole. */
#define TEXT_PIECE (256 * KIB)

struct postgresql {
	struct engine e;
	struct charges charges;
	struct charges held; /* sorted: those of the same batch, which has failed once; now their buckets are locked, and known */
	bool judged;         /* the open transaction holds them */
	bool committing;     /* it has come to its end */
	struct node node;
	struct taken taken;
	struct gather gather;
	struct results results;
	struct leases leases;
	struct hashtable cursors;
	struct schema_days days;
	struct janitor janitor;
	uint64_t shards, shards_set; /* bits: for the open transaction; as the connection knows them */
	bool fenced;                 /* the open transaction has made sure that the node is still a member */
	uint64_t look_at;            /* monotonic: when the sums of the other nodes and the taken rows are looked at next */
	char why[300];               /* of a durability that is not enough */
	char piece[TEXT_PIECE];      /* of the text that is being stored */
};
static inline struct postgresql *postgresql_of(const struct engine *e)
{
	return CONTAINER_OF(e, struct postgresql, e);
}

/* kept_results.c: results that could not be stored before the process ended. results_keep: see engine.h. results_store: what an
 * earlier process of this node has kept, before this one claims; false: the database is away. */
bool results_keep(struct engine *e, const struct request *const *results, size_t n);
bool results_store(struct engine *e);

/* nodes.c */
void this_node(const struct engine *e, struct store_node *node_out);

#define NO_MEMBER "this node is no member any more: another has declared it dead, or it was removed"

/* The first statement of a transaction that writes: holds the node's row, so that no other node can declare it dead meanwhile. */
void fence(struct engine *e);

#endif
