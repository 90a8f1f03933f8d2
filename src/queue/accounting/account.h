/* account.h - what the accountant knows of a login, and of each of its devices that has limits of its own: rates with their buckets,
 * reservations, connections, and what its breaker looks at. Found by key; it goes when nobody points to it and it knows nothing. */
#ifndef QUEUE_ACCOUNT_H
#define QUEUE_ACCOUNT_H

#include "accounting/bucket.h"
#include "posthouse/hash.h"
#include "posthouse/hashtable.h"
#include "common/format.h"

struct queue;

/* One rate of one limit. */
struct meter {
	enum meter_kind kind;
	struct rate rate;
	struct bucket *bucket;
};

/* Recipients of the last hour, in slots of ten minutes. */
#define BOUNCE_SLOTS   6
#define BOUNCE_SLOT_MS (10 * 60 * 1000ull)
struct bounces {
	uint64_t slot[BOUNCE_SLOTS]; /* time / BOUNCE_SLOT_MS: which ten minutes it counts */
	uint64_t finished[BOUNCE_SLOTS], refused[BOUNCE_SLOTS];
};

struct account {
	struct hashtable_item in_table;
	struct queue *queue;
	char *key; /* "user:alice@example.org", "device:alice@example.org/phone": in lower case */
	bool is_device;
	size_t users;       /* sessions, messages on their way in */
	size_t connections; /* logged in */
	uint64_t reserved[METER_KINDS];

	/* Of the configuration number `generation`. */
	uint64_t generation;
	struct meter *meters;
	size_t meters_n;
	uint64_t connections_max; /* 0: any number */
	bool hold, breaker;
	struct meter new_recipients; /* of the breaker; amount 0: not looked at */

	struct bucket **networks; /* see seen_networks.h */
	size_t networks_n;
	struct bounces bounces;
	uint64_t held_tat_us; /* mail that is held for it, see quota.c */
};

void accounts_init(struct queue *q);
void accounts_fini(struct queue *q);

/* The configuration has changed: rates are looked up again when they are needed. What was used stays used where the rate is the same. */
void accounts_apply(struct queue *q);

/* Of a login; of its device, NULL when that has no limits of its own. Up to date with the configuration. */
struct account *account_of(struct queue *q, struct str login);
struct account *account_of_device(struct queue *q, struct str login, struct str device);

/* The one with this key, if it is known; NULL. */
struct account *account_find(struct queue *q, struct str key);

/* Bring one that was kept up to date. */
struct account *account_refresh(struct account *a);

/* Keep it as long as it is pointed to (NULL is allowed). */
struct account *account_hold(struct account *a);
void account_release(struct account *a);

/* The login, without what stands before it in the key. */
struct str account_login(const struct account *a);

/* Rules of this kind? */
bool account_has(const struct account *a, enum meter_kind kind);

/* The clock was set back: what was counted later than now counts no more. */
void accounts_mend(struct queue *q, uint64_t now);

/* Forget those that know nothing. */
void accounts_collect(struct queue *q, uint64_t now);

#endif
