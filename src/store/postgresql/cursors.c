/* cursors.c - up to which due time this node has emptied a lane. A take begins there, since the rows that were taken are still in
 * the index while somebody looks at an old state of the database (pg_dump): it would read all of them again each time.
 * A cursor stays some seconds behind, for what other nodes commit a little later, goes back when the lane is told of something
 * older, and is forgotten after a while: then a take sees the whole lane. Meanwhile the lane does not sleep for longer. The first
 * takes of this while have no cursor, so that lanes with little mail are what they seem. */
#include "postgresql.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define BEHIND_MS 5000
#define VALID_MS  30000
#define TAKES_MIN 8

struct cursor {
	struct hashtable_item node; /* by lane */
	uint64_t ends_at;           /* monotonic */
	unsigned takes;
	struct lane_cursor at;
};

static struct cursor *find(const struct hashtable *cursors, uint64_t lane)
{
	struct hashtable_item *node = hashtable_find(cursors, lane, NULL);

	return node ? CONTAINER_OF(node, struct cursor, node) : NULL;
}

void cursors_clear(struct hashtable *cursors)
{
	HASHTABLE_EACH (node, cursors) {
		hashtable_remove(cursors, node);
		free(CONTAINER_OF(node, struct cursor, node));
	}
}

/* Forget those that are over, once in a while. */
void cursors_tidy(struct hashtable *cursors)
{
	uint64_t now = clock_mono_ms();

	HASHTABLE_EACH_OF (struct cursor, c, cursors, node)
		if (c->ends_at <= now) {
			hashtable_remove(cursors, &c->node);
			free(c);
		}
}

struct lane_cursor cursor_of(const struct hashtable *cursors, uint64_t lane)
{
	const struct cursor *c = find(cursors, lane);

	return c && c->takes >= TAKES_MIN && c->ends_at > clock_mono_ms() ? c->at : (struct lane_cursor){ 0 };
}

uint64_t cursor_sleep_until(struct lane_cursor at, uint64_t now)
{
	return at.fresh || at.tried ? now + VALID_MS : INT64_MAX;
}

void cursor_lower(const struct hashtable *cursors, uint64_t lane, uint64_t due_at)
{
	struct cursor *c = find(cursors, lane);

	if (!c)
		return;
	c->at.fresh = due_at < c->at.fresh ? due_at : c->at.fresh;
	c->at.tried = due_at < c->at.tried ? due_at : c->at.tried;
}

void cursor_set(struct hashtable *cursors, uint64_t lane, struct lane_cursor at, uint64_t now)
{
	struct cursor *c = find(cursors, lane);
	uint64_t last = now > BEHIND_MS ? now - BEHIND_MS : 0;

	if (!c) {
		c = NEW(struct cursor);
		hashtable_add(cursors, &c->node, lane);
		c->ends_at = 0;
	}
	if (c->ends_at <= clock_mono_ms()) {
		c->ends_at = clock_mono_ms() + VALID_MS;
		c->at = (struct lane_cursor){ 0 };
		c->takes = 0;
	}
	c->takes++;
	at.fresh = at.fresh < last ? at.fresh : last;
	at.tried = at.tried < last ? at.tried : last;
	c->at.fresh = at.fresh > c->at.fresh ? at.fresh : c->at.fresh;
	c->at.tried = at.tried > c->at.tried ? at.tried : c->at.tried;
}
