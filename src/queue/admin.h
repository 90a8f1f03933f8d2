/* admin.h - a question or an order of the console, while the store works on it. */
#ifndef QUEUE_ADMIN_H
#define QUEUE_ADMIN_H

#include "queue.h"

struct admin_call {
	struct list in_calls;
	struct queue *queue;
	struct channel *channel; /* NULL: has gone */
	uint64_t call;           /* to be answered */
	struct verdict refusal;  /* OK: the store is asked; else this is the answer */
	struct arena arena;
	struct selector selector;
	struct find find;
	struct find_place place;
	uint64_t began_ms; /* monotonic */
	uint64_t id, cursor;
	size_t max; /* rows of the page */
	enum alter operation;
	enum store_node_order order;
	struct str reason, via;
	void *job; /* of export.c and import.c, which free it, and of admin_reached.c, in the arena */
};

struct admin_call *admin_begin(struct role *r, struct channel *ch, uint64_t call);
void admin_end(struct admin_call *c);

/* As much of a text as a row shows. */
struct str admin_cut(struct str s);

/* Ask again with half the rows? Not when one row alone is the page. */
bool admin_too_large(struct admin_call *c, size_t bytes, size_t n);

#endif
