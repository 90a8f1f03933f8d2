/* leases.c - which recipients are in flight, and what that means for their lanes. In memory: after a restart all are due again.
 * Bounded by what the scheduler has in flight. */
#include "sqlite.h"

#include <stdlib.h>

void leases_init(struct leases *l)
{
	*l = (struct leases){ 0 };
	list_init(&l->cached);
}

void leases_fini(struct leases *l)
{
	struct hashtable_item *node;

	while ((node = hashtable_first(&l->by_message))) {
		hashtable_remove(&l->by_message, node);
		free(CONTAINER_OF(node, struct lease, node));
	}
	while ((node = hashtable_first(&l->lanes))) {
		hashtable_remove(&l->lanes, node);
		free(CONTAINER_OF(node, struct lane_cache, node));
	}
	hashtable_fini(&l->by_message);
	hashtable_fini(&l->lanes);
}

/* The lease of one recipient; NULL when it is not in flight. */
static struct lease *find(const struct leases *l, uint64_t id, uint64_t n)
{
	HASHTABLE_FIND (node, &l->by_message, id) {
		struct lease *lease = CONTAINER_OF(node, struct lease, node);

		if (lease->n == n && !lease->ended)
			return lease;
	}
	return NULL;
}

bool leases_has(const struct leases *l, uint64_t id, uint64_t n)
{
	return find(l, id, n) != NULL;
}

bool leases_has_any(const struct leases *l, uint64_t id)
{
	HASHTABLE_FIND (node, &l->by_message, id)
		if (!CONTAINER_OF(node, struct lease, node)->ended)
			return true;
	return false;
}

struct lane_cache *leases_lane(const struct leases *l, uint64_t lane)
{
	struct hashtable_item *node = hashtable_find(&l->lanes, lane, NULL);

	return node ? CONTAINER_OF(node, struct lane_cache, node) : NULL;
}

void leases_add(struct leases *l, uint64_t id, uint64_t n, uint64_t lane)
{
	struct lane_cache *cache = leases_lane(l, lane);
	struct lease *lease = NEW(struct lease);

	if (!cache) {
		cache = NEW(struct lane_cache);
		hashtable_add(&l->lanes, &cache->node, lane);
		list_append(&l->cached, &cache->link);
	}
	cache->leased++;
	lease->n = n;
	lease->lane = lane;
	hashtable_add(&l->by_message, &lease->node, id);
}

void leases_end(struct leases *l, uint64_t id, uint64_t n)
{
	struct lease *lease = find(l, id, n);

	if (!lease)
		return;
	lease->ended = true;
	lease->next_ended = l->ended;
	l->ended = lease;
}

/* Forget one lease; with the lane's last one its row says the truth again, and the cache goes. */
static void drop(struct leases *l, struct lease *lease)
{
	struct lane_cache *cache = leases_lane(l, lease->lane);

	hashtable_remove(&l->by_message, &lease->node);
	free(lease);
	if (--cache->leased > 0)
		return;
	hashtable_remove(&l->lanes, &cache->node);
	list_remove(&cache->link);
	free(cache);
}

void leases_commit(struct leases *l)
{
	while (l->ended) {
		struct lease *lease = l->ended;

		l->ended = lease->next_ended;
		drop(l, lease);
	}
}

void leases_rollback(struct leases *l)
{
	while (l->ended) {
		l->ended->ended = false;
		l->ended = l->ended->next_ended;
	}
}

void leases_note_due(struct leases *l, uint64_t lane, uint64_t due_at)
{
	struct lane_cache *cache = leases_lane(l, lane);

	if (cache && cache->quiet && (cache->next_at == 0 || due_at < cache->next_at))
		cache->next_at = due_at;
}
