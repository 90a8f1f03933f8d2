/* leased.c - which recipients are leased, and what that means for their lanes. In memory: after a restart no recipient is leased.
 * The scheduler of queue bounds their number; what becomes of a lease is queue's alone to know. */
#include "sqlite.h"

#include <stdlib.h>

void leased_init(struct leased *l)
{
	*l = (struct leased){ 0 };
	list_init(&l->cached);
}

void leased_fini(struct leased *l)
{
	HASHTABLE_EACH (node, &l->by_message)
		free(CONTAINER_OF(node, struct leased_recipient, node));
	HASHTABLE_EACH (node, &l->lanes)
		free(CONTAINER_OF(node, struct lane_cache, node));
	hashtable_fini(&l->by_message);
	hashtable_fini(&l->lanes);
}

/* NULL: the recipient is not leased. */
static struct leased_recipient *find(const struct leased *l, uint64_t id, uint64_t n)
{
	HASHTABLE_FIND_OF (struct leased_recipient, r, &l->by_message, id, node)
		if (r->n == n && !r->ended)
			return r;
	return NULL;
}

bool leased_has(const struct leased *l, uint64_t id, uint64_t n)
{
	return find(l, id, n) != NULL;
}

bool lease_has(struct engine *e, uint64_t id, uint64_t n)
{
	return leased_has(&sqlite_of(e)->leased, id, n);
}

bool lease_has_any(struct engine *e, uint64_t id)
{
	HASHTABLE_FIND (node, &sqlite_of(e)->leased.by_message, id)
		if (!CONTAINER_OF(node, struct leased_recipient, node)->ended)
			return true;
	return false;
}

struct lane_cache *leased_lane(const struct leased *l, uint64_t lane)
{
	struct hashtable_item *node = hashtable_find(&l->lanes, lane, NULL);

	return node ? CONTAINER_OF(node, struct lane_cache, node) : NULL;
}

void leased_add(struct leased *l, uint64_t id, uint64_t n, uint64_t lane)
{
	struct lane_cache *cache = leased_lane(l, lane);
	struct leased_recipient *r = NEW(struct leased_recipient);

	if (!cache) {
		cache = NEW(struct lane_cache);
		hashtable_add(&l->lanes, &cache->node, lane);
		list_append(&l->cached, &cache->link);
	}
	cache->leased++;
	r->n = n;
	r->lane = lane;
	hashtable_add(&l->by_message, &r->node, id);
}

/* Takes effect with leased_commit(), is undone by leased_rollback(). A result counts also when a queue before has made the
 * delivery. */
bool lease_end(struct engine *e, const struct outcome *o)
{
	struct leased *l = &sqlite_of(e)->leased;
	struct leased_recipient *r = find(l, o->id, o->n);

	if (!r)
		return true;
	r->ended = true;
	r->next_ended = l->ended;
	l->ended = r;
	return true;
}

/* The lease of the recipient has ended. With the last one of the lane the lane's row is exact again, and the cache is freed. */
static void drop(struct leased *l, struct leased_recipient *r)
{
	struct lane_cache *cache = leased_lane(l, r->lane);

	hashtable_remove(&l->by_message, &r->node);
	free(r);
	if (--cache->leased > 0)
		return;
	hashtable_remove(&l->lanes, &cache->node);
	list_remove(&cache->link);
	free(cache);
}

void leased_commit(struct leased *l)
{
	while (l->ended) {
		struct leased_recipient *r = l->ended;

		l->ended = r->next_ended;
		drop(l, r);
	}
}

void leased_rollback(struct leased *l)
{
	while (l->ended) {
		l->ended->ended = false;
		l->ended = l->ended->next_ended;
	}
}

/* ---- lanes with leased recipients ---- */

void lane_note_due(struct engine *e, uint64_t lane, uint64_t due_at)
{
	struct lane_cache *cache = leased_lane(&sqlite_of(e)->leased, lane);

	if (cache && cache->quiet && (cache->next_at == 0 || due_at < cache->next_at))
		cache->next_at = due_at;
}

bool lane_is_quiet(const struct engine *e, uint64_t lane, uint64_t now)
{
	const struct lane_cache *cache = leased_lane(&sqlite_of(e)->leased, lane);

	return cache && cache->quiet && (cache->next_at == 0 || cache->next_at > now);
}

uint64_t lanes_quiet_until(const struct engine *e, uint64_t now, uint64_t next_at)
{
	LIST_EACH_OF (const struct lane_cache, cache, &sqlite_of(e)->leased.cached, link)
		if (cache->quiet && cache->next_at > now && (next_at == 0 || cache->next_at < next_at))
			next_at = cache->next_at;
	return next_at;
}

/* ---- results: a row is read in no time here ---- */

bool result_known(struct engine *e, const struct outcome *o, struct result *was_out)
{
	return false;
}

bool message_known(struct engine *e, uint64_t id, struct open_message *was_out)
{
	return false;
}
