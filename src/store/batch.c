/* batch.c - which operations become one transaction: what the loop has issued, as far as no operation overtakes an earlier one
 * that names the same message. */
#include "writer.h"

#define BATCH_MAX       1000
#define BATCH_BYTES_MAX (8 * MIB) /* of text: bounds the log and the memory of one transaction */

/* A message that the batch names, with the highest rank under which it does. */
struct named {
	struct hashtable_item node;
	enum rank rank;
};

/* The i-th message that the operation names; 0: after the last. */
static uint64_t named_id(const struct op *op, size_t i)
{
	const struct request *r = &op->request;

	switch (op->kind->names) {
	case NAMES_ID: return i == 0 ? r->id : 0;
	case NAMES_ID_AND_PARENT: return i == 0 ? r->id : i == 1 ? r->parent : 0;
	case NAMES_OUTCOMES: return i < r->max ? r->in.outcomes[i].id : 0;
	case NAMES_NONE: break;
	}
	return 0;
}

/* Can the operation join the batch? Not when it would overtake an earlier one that names the same message: then it begins
 * the next batch. */
static bool may_join(struct writer *w, const struct op *op)
{
	uint64_t id;

	for (size_t i = 0; (id = named_id(op, i)) != 0; i++) {
		struct hashtable_item *node = hashtable_find(&w->named, id, NULL);

		if (node && CONTAINER_OF(node, struct named, node)->rank > op->kind->rank)
			return false;
	}
	return true;
}

/* Note the messages that the operation names. */
static void note_names(struct writer *w, const struct op *op)
{
	uint64_t id;

	for (size_t i = 0; (id = named_id(op, i)) != 0; i++) {
		struct hashtable_item *node = hashtable_find(&w->named, id, NULL);
		struct named *named = node ? CONTAINER_OF(node, struct named, node) : ARENA_NEW(&w->host.arena, struct named);

		if (!node)
			hashtable_add(&w->named, &named->node, id);
		named->rank = op->kind->rank;
	}
}

void batch_fill(struct writer *w, struct list *pending)
{
	size_t n = 0, bytes = 0;
	struct list *first;

	while ((first = list_first(pending)) && n < BATCH_MAX && bytes < BATCH_BYTES_MAX) {
		struct op *op = CONTAINER_OF(first, struct op, link);

		if (!may_join(w, op))
			break;
		note_names(w, op);
		list_remove(first);
		list_append(&w->batch[op->kind->rank], first);
		n++;
		bytes += op->bytes;
	}
}
