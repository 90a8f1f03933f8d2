/* writebehind.h - items in memory whose state follows in the store, in batches, one batch at a time: what changes meanwhile goes
 * with the next batch. When a write fails, its items wait with all others until the next try; nothing is lost while the process
 * lives. */
#ifndef POSTHOUSE_WRITEBEHIND_H
#define POSTHOUSE_WRITEBEHIND_H

#include "posthouse/arena.h"
#include "posthouse/list.h"
#include "posthouse/verdict.h"

/* All are called with writebehind.ctx. */
struct writebehind_ops {
	size_t row_size;  /* of one row as the store takes it */
	size_t batch_max; /* rows of one batch */

	/* Is the store open? When it is not, nothing is written until the next call of touch or flush. */
	bool (*can_write)(void *ctx);

	/* Describe the item by a row whose texts are in the arena. The item is no longer in the list, and can be freed now. */
	void (*make_row)(void *ctx, struct arena *a, struct list *item, void *row_out);

	/* Begin to write; writebehind_done(batch, verdict) is to be called once. The rows live until then. */
	void (*write)(void *ctx, const void *rows, size_t n, void *batch);

	/* A write failed: the item of this row (NULL: it has gone), which is to be written again. */
	struct list *(*find)(void *ctx, const void *row);

	/* The first failed write after a good one, for the log. */
	void (*failed)(void *ctx, size_t n, struct verdict v);

	/* Call writebehind_flush() after a pause. */
	void (*retry_later)(void *ctx);
};

struct writebehind {
	const struct writebehind_ops *ops;
	void *ctx;
	struct list dirty;
	bool writing, failing;
};

void writebehind_init(struct writebehind *w, const struct writebehind_ops *ops, void *ctx);

/* The item has changed; it is one list member of its owner, which list_init() made and which nothing else uses. */
void writebehind_touch(struct writebehind *w, struct list *item);

/* Write what waits, unless a batch is on its way. */
void writebehind_flush(struct writebehind *w);

/* The end of a write: has the type of a store's callback. */
void writebehind_done(void *batch, struct verdict v);

#endif
