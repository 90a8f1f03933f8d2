/* ban.h - client networks and logins that are refused for a time, and logins whose breaker has tripped. All are in memory,
 * found by key; each has a row in the store, so that it survives a restart. */
#ifndef QUEUE_BAN_H
#define QUEUE_BAN_H

#include "posthouse/arena.h"
#include "posthouse/hashtable.h"
#include "posthouse/store.h"
#include "posthouse/units.h"
#include "posthouse/writebehind.h"

#include <uv.h>

struct accounting;

struct ban {
	struct hashtable_item in_table;
	struct list in_recent, in_dirty;
	char *key; /* "net:192.0.2.1", "login:alice@example.org", "breaker:alice@example.org" */
	char *reason;
	uint64_t level, until;
	uint64_t length_ms; /* the length of the ban that ends at `until` */
	bool forgotten;
	uint64_t changed; /* bans.changes_n when this node changed it last */
	uint64_t read_in; /* the round of bans_follow() that has read it */
};

struct bans {
	struct hashtable table;
	struct list recent; /* bans of networks and logins (no breakers), the newest last; their number is bounded */
	struct writebehind changes;
	size_t strangers;
	bool known, unreadable;
	uv_timer_t load_retry;
	/* Following other nodes: what this node has changed and removed so far, and had when the last round began to read. */
	uv_timer_t follow;
	uint64_t changes_n, removed_n, round, round_changes_n, round_removed_n;
	/* A tripped breaker was read from the store; breaker.c registers itself here. */
	void (*resume_breaker)(struct accounting *acc, const struct ban *b);
};

void bans_init(struct accounting *acc);
void bans_fini(struct accounting *acc);
void bans_load(struct accounting *acc);

/* Read the bans of all nodes: those that were made elsewhere are in force here too, and those that were lifted elsewhere end.
 * What this node has changed since, or has not written, stays. Where several nodes share the store, this is done each second (a
 * little later when there are thousands). */
void bans_follow(struct accounting *acc);

/* The ban with this key, also one that is over; NULL when there is none. */
struct ban *ban_find(struct accounting *acc, struct str key);

/* The same, but only when it is in force now. */
struct ban *ban_in_force(struct accounting *acc, struct str key, uint64_t now);

/* All bans in small pages, with a cursor as in hashtable_page(). */
struct ban **bans_page(const struct accounting *acc, struct arena *a, uint64_t *cursor, size_t *n_out);

/* Begin a ban, or replace the one with this key; it is written to the store soon. */
struct ban *ban_put(struct accounting *acc, struct str key, uint64_t level, uint64_t now, uint64_t until, struct str reason);

/* An administrator ends the ban: it is freed. The caller has to write the row that is returned. */
struct ban_row ban_lift(struct accounting *acc, struct arena *a, struct ban *b);

/* The clock was set back: a ban that would last longer than it was made for is ended, also in the store. */
void bans_mend(struct accounting *acc, uint64_t now);

/* Report to `status` how many bans there are, and which breakers have tripped. */
void bans_stats(struct accounting *acc);

/* Free the bans that ended longer than BAN_REMEMBERED_MS ago. */
void bans_collect(struct accounting *acc, uint64_t now);

/* A ban that is over is remembered for this time: the next ban of the same key is longer. */
#define BAN_REMEMBERED_MS (7 * DAY_MS)

#endif
