/* lockouts.c - see lockouts.h. */
#include "queue.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define LOCKOUTS_MAX 20000
#define HOUR_MS      (3600 * 1000ull)

struct lockout {
	struct table_item in_table;
	struct list in_order;
	char *key;
	uint64_t since;
};

void lockouts_init(struct queue *q)
{
	table_init(&q->lockouts.table);
	list_init(&q->lockouts.in_order);
}

static void drop(struct queue *q, struct lockout *l)
{
	table_remove(&q->lockouts.table, &l->in_table);
	list_remove(&l->in_order);
	free(l->key);
	free(l);
}

void lockouts_fini(struct queue *q)
{
	LIST_EACH (i, &q->lockouts.in_order)
		drop(q, CONTAINER_OF(i, struct lockout, in_order));
	table_fini(&q->lockouts.table);
}

static struct lockout *find(struct queue *q, struct str key)
{
	uint64_t hash = hash_text(key);

	for (struct table_item *i = table_find(&q->lockouts.table, hash, NULL); i; i = table_find(&q->lockouts.table, hash, i)) {
		struct lockout *l = CONTAINER_OF(i, struct lockout, in_table);

		if (str_eq(str_of(l->key), key))
			return l;
	}
	return NULL;
}

static void begin(struct queue *q, struct str key, uint64_t now)
{
	struct lockout *l = NEW(struct lockout);

	if (q->lockouts.table.n >= LOCKOUTS_MAX)
		drop(q, CONTAINER_OF(list_first(&q->lockouts.in_order), struct lockout, in_order));
	l->key = copy_text(key);
	l->since = now;
	table_add(&q->lockouts.table, &l->in_table, hash_text(key));
	list_append(&q->lockouts.in_order, &l->in_order);
}

uint64_t lockout_ms(struct queue *q, struct str login, struct str device, struct str network, uint64_t now)
{
	struct arena a = { 0 };
	struct str key = turn_key(&a, login, device, network);
	struct lockout *l = find(q, key);
	uint64_t left = HOUR_MS;

	if (l)
		l->since = clock_mended(l->since, now, 0);
	else
		begin(q, key, now);
	if (l)
		left = now - l->since < HOUR_MS ? HOUR_MS - (now - l->since) : 0;
	if (left == 0)
		drop(q, l);
	arena_fini(&a);
	return left;
}
