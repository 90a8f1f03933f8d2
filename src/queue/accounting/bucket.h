/* bucket.h - the token buckets of upstreams, logins, devices and strangers, and times that end. All are in memory, found by key and rule;
 * what survives a restart is a row of each. What is charged with a message is written with the message; what changes otherwise is written
 * in batches, one at a time. */
#ifndef QUEUE_BUCKET_H
#define QUEUE_BUCKET_H

#include "posthouse/hash.h"
#include "posthouse/hashtable.h"

#include "posthouse/arena.h"
#include "posthouse/config.h"
#include "posthouse/store.h"
#include "posthouse/writebehind.h"

#include <uv.h>

struct accounting;

struct bucket {
	struct hashtable_item in_table; /* by key: those of one key are in one slot */
	struct list in_dirty;           /* waits to be written */
	struct list in_recent;          /* of failed_logins.c: those that failed last at the end */
	char *key, *rule;               /* "upstream:isp", "30/1m"; "user:alice@example.org", "messages 200/1h" */
	struct rate rate;               /* amount 0: not known (yet), or no rate but a time that ends */
	uint64_t tat_us, saved_us;
	uint64_t warned_at;
	uint64_t logged_at; /* when the log last said that it is used up */
	size_t users;       /* who points here; without any it goes when it is empty again */
	bool forgotten;     /* out of the table: its end is still to be written */
};

/* A part of accounting whose buckets have rules that begin with one text. All members but `rule` are optional. */
struct bucket_user {
	const char *rule;
	uint64_t period_us;                                       /* tat_us is the end of a time of this length, not a rate's */
	void (*loaded)(struct accounting *acc, struct bucket *b); /* such a bucket was read from the store */
	void (*forgotten)(struct accounting *acc, struct bucket *b); /* such a bucket is empty again, and about to go */
};
#define BUCKET_USERS_MAX 4

struct buckets {
	const struct bucket_user *registered[BUCKET_USERS_MAX];
	size_t registered_n;
	struct hashtable table;
	struct writebehind changes;
	bool known;                 /* what was used before the restart has been read */
	bool unreadable;            /* that failed, and is tried again */
	char *read_key, *read_rule; /* the last row that was read */
	uint64_t beyond;            /* rows that the bound leaves out */
	uv_timer_t retry, load_retry;
};

void buckets_init(struct accounting *acc);
void buckets_register(struct accounting *acc, const struct bucket_user *user);
void buckets_fini(struct accounting *acc);

/* Read what was used before the restart; then mail may come and go. */
void buckets_load(struct accounting *acc);

/* The one with this key and rule; NULL. / The same, made when there is none. */
struct bucket *bucket_find(struct accounting *acc, struct str key, struct str rule);
struct bucket *bucket_get(struct accounting *acc, struct str key, struct str rule);

/* As many as are read at a start: what can do without does so. */
bool buckets_are_many(const struct accounting *acc);

/* It has changed: write it, soon. */
void bucket_touch(struct accounting *acc, struct bucket *b);

/* Nobody needs it: out of memory, and soon out of the store. */
void bucket_forget(struct accounting *acc, struct bucket *b);

/* Its state as the store wants it; views into the arena. */
struct bucket_row bucket_row_of(struct arena *a, const struct bucket *b);

/* Empty it (an administrator says so): the row is for the caller to write. */
struct bucket_row bucket_empty(struct arena *a, struct bucket *b);

/* The clock was set back: what another clock wrote counts as now, also in the store. */
void buckets_mend(struct accounting *acc, uint64_t now);

/* Forget those that are empty again and that nobody points to. */
void buckets_collect(struct accounting *acc, uint64_t now);

#endif
