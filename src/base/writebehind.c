/* writebehind.c - batches of changed items, one at a time. */
#include "posthouse/writebehind.h"

#include <stdlib.h>

/* A batch on its way to the store. */
struct batch {
	struct writebehind *owner;
	struct arena arena;
	char *rows;
	size_t n;
};

void writebehind_init(struct writebehind *w, const struct writebehind_ops *ops, void *ctx)
{
	*w = (struct writebehind){ .ops = ops, .ctx = ctx };
	list_init(&w->dirty);
}

void writebehind_touch(struct writebehind *w, struct list *item)
{
	if (list_empty(item))
		list_append(&w->dirty, item);
	if (!w->failing)
		writebehind_flush(w);
}

void writebehind_flush(struct writebehind *w)
{
	struct batch *batch;

	if (w->writing || list_empty(&w->dirty) || !w->ops->can_write(w->ctx))
		return;
	batch = NEW(struct batch);
	batch->owner = w;
	batch->rows = arena_calloc(&batch->arena, w->ops->batch_max, w->ops->row_size);
	while (batch->n < w->ops->batch_max && !list_empty(&w->dirty)) {
		struct list *item = list_first(&w->dirty);

		list_remove(item);
		w->ops->make_row(w->ctx, &batch->arena, item, batch->rows + batch->n++ * w->ops->row_size);
	}
	w->writing = true;
	w->ops->write(w->ctx, batch->rows, batch->n, batch);
}

void writebehind_done(void *ctx, struct verdict v)
{
	struct batch *batch = ctx;
	struct writebehind *w = batch->owner;

	w->writing = false;
	if (v.class != OK && !w->failing)
		w->ops->failed(w->ctx, batch->n, v);
	w->failing = v.class != OK;
	for (size_t i = 0; w->failing && i < batch->n; i++) {
		struct list *item = w->ops->find(w->ctx, batch->rows + i * w->ops->row_size);

		if (item && list_empty(item))
			list_append(&w->dirty, item);
	}
	arena_fini(&batch->arena);
	free(batch);
	if (!w->failing)
		writebehind_flush(w);
	else if (w->ops->can_write(w->ctx))
		w->ops->retry_later(w->ctx);
}
