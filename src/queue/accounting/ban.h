/* ban.h - whom the relay does not talk to for a while, and logins whose breaker has tripped. In memory, by key; each has a row that
 * survives a restart. */
#ifndef QUEUE_BAN_H
#define QUEUE_BAN_H

#include "posthouse/hash.h"
#include "posthouse/hashtable.h"

#include "posthouse/arena.h"
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
	uint64_t length_ms; /* that ends at `until` */
	bool forgotten;
};

struct bans {
	struct hashtable table;
	struct list recent; /* of strangers, the newest at the end: these are bounded */
	struct writebehind changes;
	size_t strangers;
	bool known, unreadable;
	uv_timer_t retry, load_retry;
	void (*resume_breaker)(struct accounting *acc, const struct ban *b); /* a row was read; registered by breaker.c */
};

void bans_init(struct accounting *acc);
void bans_fini(struct accounting *acc);
void bans_load(struct accounting *acc);

/* The one with this key, over or not; NULL. */
struct ban *ban_find(struct accounting *acc, struct str key);

/* The same, when it holds now. */
struct ban *ban_in_force(struct accounting *acc, struct str key, uint64_t now);

/* It begins, or begins anew; the store is told. */
struct ban *ban_put(struct accounting *acc, struct str key, uint64_t level, uint64_t now, uint64_t until, struct str reason);

/* It is over for good (an administrator says so): the row is for the caller to write, the ban is gone. */
struct ban_row ban_lift(struct accounting *acc, struct arena *a, struct ban *b);

/* The clock was set back: a ban that would last longer than it was made for is over, also in the store. */
void bans_mend(struct accounting *acc, uint64_t now);

/* How many there are, and which breakers have tripped. */
void bans_stats(struct accounting *acc);

/* Forget those that ended so long ago that they do not count any more. */
void bans_collect(struct accounting *acc, uint64_t now);

/* So long a ban that is over is remembered: the next one is longer. */
#define BAN_REMEMBERED_MS (7 * DAY_MS)

#endif
