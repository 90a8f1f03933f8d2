/* account.h - what the accountant knows of a login, and of each of its devices that has limits of its own: rates with their buckets,
 * reservations, connections, and what its breaker looks at. Found by key; it goes when nobody points to it and it knows nothing. */
#ifndef QUEUE_ACCOUNT_H
#define QUEUE_ACCOUNT_H

#include "accounting/bounces.h"
#include "accounting/bucket.h"
#include "posthouse/hash.h"
#include "posthouse/hashtable.h"
#include "common/format.h"

struct accounting;

/* One rate of one limit. */
struct meter {
	enum meter_kind kind;
	struct rate rate;
	struct bucket *bucket;
};

struct account {
	struct hashtable_item in_table;
	struct accounting *accounting;
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

void accounts_init(struct accounting *acc);
void accounts_fini(struct accounting *acc);

/* The configuration has changed: rates are looked up again when they are needed. What was used stays used where the rate is the same. */
void accounts_apply(struct accounting *acc);

/* Of a login; of its device, NULL when that has no limits of its own. Up to date with the configuration. */
struct account *account_of(struct accounting *acc, struct str login);
struct account *account_of_device(struct accounting *acc, struct str login, struct str device);

/* The one with this key, if it is known; NULL. */
struct account *account_find(struct accounting *acc, struct str key);

/* Bring one that was kept up to date. */
struct account *account_refresh(struct account *a);

/* Keep it as long as it is pointed to (NULL is allowed). */
struct account *account_hold(struct account *a);
void account_release(struct account *a);

/* The login; the login or the device, as people know it: "alice@example.org/phone". Views into the key. */
struct str account_name(const struct account *a);
struct str account_login(const struct account *a);

/* Rules of this kind? */
bool account_has(const struct account *a, enum meter_kind kind);

/* The clock was set back: what was counted later than now counts no more. */
void accounts_mend(struct accounting *acc, uint64_t now);

/* Forget those that know nothing. */
void accounts_collect(struct accounting *acc, uint64_t now);

#endif
