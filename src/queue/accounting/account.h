/* account.h - an account: what is counted for a login, or for one of its devices that has limits of its own: the rates with
 * their buckets, reservations, connections, and the figures that the breaker watches. Accounts are found by key. An account is
 * freed when nobody holds it and it has nothing to remember. */
#ifndef QUEUE_ACCOUNT_H
#define QUEUE_ACCOUNT_H

#include "accounting/bucket.h"
#include "common/format.h"

#include "posthouse/hashtable.h"
#include "posthouse/units.h"

struct accounting;

/* ---- bounces.c: how many recipients of a login were delivered to, and how many were refused for good, in the last hour: in
 * memory, in slots of ten minutes ---- */

#define BOUNCE_SLOTS   6
#define BOUNCE_SLOT_MS (10 * MINUTE_MS)
struct bounces {
	uint64_t slot[BOUNCE_SLOTS]; /* time / BOUNCE_SLOT_MS: which ten minutes it counts */
	uint64_t finished[BOUNCE_SLOTS], refused[BOUNCE_SLOTS];
};

/* One more recipient has ended. `finished_out`, `refused_out`: how many did in the last hour, this one included. */
void bounces_count(struct bounces *b, bool refused, uint64_t now, uint64_t *finished_out, uint64_t *refused_out);

/* Was nothing counted in the last hour? */
bool bounces_forgotten(const struct bounces *b, uint64_t now);

/* The clock was set back: if the counts are of a later time, they begin again. */
void bounces_mend(struct bounces *b, uint64_t now);

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
	bool is_local;      /* the last that came of it was from this machine, where no password is asked for */
	size_t users;       /* holders: sessions, and messages that are being accepted */
	size_t connections; /* sessions that are logged in */
	uint64_t reserved[METER_KINDS];

	/* From the configuration number `generation`. */
	uint64_t generation;
	struct meter *meters;
	size_t meters_n;
	uint64_t connections_max; /* 0: no limit */
	bool hold, breaker;
	struct meter new_recipients; /* the breaker's rate of new recipients; bucket NULL: the breaker does not watch it */

	struct bucket **networks; /* see seen_networks.h */
	size_t networks_n;
	struct bounces bounces;
	uint64_t held_tat_us; /* the held mail of this login, as a rate: see quota.c */
};

void accounts_fini(struct accounting *acc);

/* The account of a login, made when there is none; of a device, NULL when the device has no limits of its own. Both are up to
 * date with the configuration. */
struct account *account_of(struct accounting *acc, struct str login);
struct account *account_of_device(struct accounting *acc, struct str login, struct str device);

/* The account with this key; NULL when there is none. */
struct account *account_find(struct accounting *acc, struct str key);

/* Bring an account up to date with the configuration; for accounts that were kept since an earlier event. */
struct account *account_refresh(struct account *a);

/* Hold an account, so that it is not freed, and release it. NULL is allowed. */
struct account *account_hold(struct account *a);
void account_release(struct account *a);

/* The login; the login or the device, as people know it: "alice@example.org/phone". Views into the key. */
struct str account_name(const struct account *a);
struct str account_login(const struct account *a);

/* Does the account (NULL is allowed) have a rate of this kind? */
bool account_has(const struct account *a, enum meter_kind kind);

/* The clock was set back: counts with a time later than `now` are dropped. */
void accounts_mend(struct accounting *acc, uint64_t now);

/* Free the accounts that nobody holds and that have nothing to remember. */
void accounts_collect(struct accounting *acc, uint64_t now);

/* Can another login be kept in memory? */
bool accounts_have_room(struct accounting *acc);

#endif
