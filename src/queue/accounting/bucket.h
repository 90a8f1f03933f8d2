/* bucket.h - token buckets of upstreams, logins, devices and client networks, and times that end. All are in memory, found by
 * key and rule; each has a row in the store. The charge of a message is written in the transaction that stores the message;
 * other changes are written in batches, one batch at a time. */
#ifndef QUEUE_BUCKET_H
#define QUEUE_BUCKET_H

#include "posthouse/arena.h"
#include "posthouse/config.h"
#include "posthouse/hashtable.h"
#include "posthouse/store.h"
#include "posthouse/writebehind.h"

#include <uv.h>

struct accounting;
struct bucket_user;

struct bucket {
	struct hashtable_item in_table; /* found by the hash of the key alone: all buckets of a key are in one slot */
	struct list in_dirty;           /* waits to be written */
	struct list in_recent;          /* used by failed_logins.c: the bucket that failed last is at the end */
	char *key, *rule;               /* "upstream:isp", "30/1m"; "user:alice@example.org", "messages 200/1h" */
	struct rate rate;               /* amount 0: not known (yet), or no rate but a time that ends */
	uint64_t tat_us, saved_us;
	int64_t owed_us; /* what was charged, less what was given back, since the bucket was last written */
	uint64_t warned_at;
	uint64_t logged_at;             /* when the log last said that the rate is used up; failed_logins.c: the last turn */
	size_t users;                   /* number of pointers to the bucket; a bucket without any is freed when it is empty */
	uint64_t read_in, written_in;   /* the round of buckets_follow() that has read it; in which this node has written it */
	bool forgotten;                 /* no longer in the table: the empty row is still to be written */
	const struct bucket_user *user; /* whose rule it has; NULL: the rule is a rate of the configuration */
};

/* A part of accounting that keeps its state in buckets whose rules begin with the text `rule`. All other members are optional. */
struct bucket_user {
	const char *rule;
	uint64_t period_us;    /* not 0: tat_us is no rate's, but the end of a time of this length */
	bool is_record;        /* it records an event and limits nothing: it is not shown, and not counted when it is reset */
	bool outlives_reset;   /* an administrator's reset leaves it as it is */
	bool needs_no_pointer; /* the rule is in force although no account points to its buckets */

	/* Such a bucket was read from the store; such a bucket is empty, and about to be freed. */
	void (*loaded)(struct accounting *acc, struct bucket *b);
	void (*forgotten)(struct accounting *acc, struct bucket *b);
};

struct buckets {
	const struct bucket_user *const *users; /* up to NULL */
	struct hashtable table;
	struct writebehind changes;
	bool known;                 /* all buckets have been read after the start */
	bool unreadable;            /* reading failed, and is tried again */
	char *read_key, *read_rule; /* the last row that was read */
	uint64_t beyond;            /* rows that were not read because of BUCKETS_MAX */
	uv_timer_t load_retry;

	/* Following other nodes (bucket_follow.c). */
	uv_timer_t follow;
	uint64_t reset_at_us; /* the last reset that is known, as its row has it */
	uint64_t round;       /* counts the times that all rows were read again */
	bool reading;
	struct list readers; /* struct buckets_reader, in_readers: wait for the end of the round */
};

void buckets_init(struct accounting *acc, const struct bucket_user *const *users);
void buckets_fini(struct accounting *acc);

/* Read all buckets. Until this has ended no mail is accepted or delivered. */
void buckets_load(struct accounting *acc);

/* Find the bucket with this key and rule (NULL when there is none); or make it when there is none. */
struct bucket *bucket_find(struct accounting *acc, struct str key, struct str rule);
struct bucket *bucket_get(struct accounting *acc, struct str key, struct str rule);

/* Are there as many buckets as are read at a start? Then optional ones are not made. */
bool buckets_are_many(const struct accounting *acc);

/* All buckets in small pages, with a cursor as in hashtable_page(): buckets can be made between pages, and while a page is
 * used. */
struct bucket **buckets_page(const struct accounting *acc, struct arena *a, uint64_t *cursor, size_t *n_out);

/* Where reading goes on: behind this row; NULL: from the start. */
void buckets_remember_place(struct buckets *all, const struct bucket_row *last);

/* ---- bucket_follow.c: several nodes share the rows ---- */

/* The row of no bucket: its time is when an administrator last reset limits, on any node. */
#define RESET_KEY  "all:"
#define RESET_RULE "reset"

void buckets_follow_init(struct accounting *acc);

/* Look whether another node has reset limits: then all rows are read again. Where the store is shared, the next look comes after
 * a second. */
void buckets_follow(struct accounting *acc);

/* Read all rows again, as all nodes have written them. done: also when they cannot be read. */
struct buckets_reader {
	struct list in_readers;
	void (*done)(struct buckets_reader *reader);
};
void buckets_read_again(struct accounting *acc, struct buckets_reader *reader);

/* The row of a bucket that is not in memory. */
void bucket_read_row(struct accounting *acc, const struct bucket_row *row, uint64_t now);

/* The bucket has changed: write it soon. */
void bucket_touch(struct accounting *acc, struct bucket *b);

/* Free a bucket that nobody needs, and soon remove its row. */
void bucket_forget(struct accounting *acc, struct bucket *b);

/* Charge this amount, whether or not it is allowed, or give it back; the caller writes the bucket. */
void bucket_charge(struct bucket *b, struct rate rate, uint64_t amount, uint64_t now);
void bucket_return(struct bucket *b, struct rate rate, uint64_t amount, uint64_t now);

/* The row of the bucket, and nothing is owed any more; its texts are copies in the arena. That of a rate is a charge of what was
 * owed, so that several nodes do not undo each other's charges. */
struct bucket_row bucket_row_of(struct arena *a, struct bucket *b);

/* What the bucket is in a database that other nodes charge too; 0: not told. What this node has charged and not written stays. */
void bucket_learn(struct bucket *b, uint64_t state_us, uint64_t now);

/* An administrator empties the bucket. The caller has to write the row that is returned. */
struct bucket_row bucket_empty(struct arena *a, struct bucket *b);

/* The clock was set back: times that another clock wrote become now, also in the store. */
void buckets_mend(struct accounting *acc, uint64_t now);

/* Free the buckets that are empty and that nobody points to. */
void buckets_collect(struct accounting *acc, uint64_t now);

#endif
