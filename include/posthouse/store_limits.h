/* store_limits.h - the part of store.h that limits use: what they keep over restarts, and share with other nodes. The rules for
 * all operations are those of store.h. */
#ifndef POSTHOUSE_STORE_LIMITS_H
#define POSTHOUSE_STORE_LIMITS_H

#include "posthouse/verdict.h"

struct store;
typedef void (*store_done_fn)(void *ctx, struct verdict v);

/* The state of a token bucket (limit.h), kept over restarts. */
struct bucket_row {
	struct str key, rule; /* "upstream:isp", "30/1m"; "user:alice@example.org", "messages 200/1h" */
	uint64_t tat_us;
	uint64_t warned_at; /* when the login was warned that the bucket is nearly used up; 0: never */

	/* A charge: how tat_us came about. An engine that several nodes share adds cost_us to what all of them have charged; one
	 * of a single node writes tat_us. window_us 0: tat_us is the new state, whatever the old one was. */
	int64_t cost_us;            /* below 0: a charge that is given back */
	uint64_t window_us, now_us; /* of the rate; the time of the charge */
	bool must_fit;              /* of an accept: when it is over the limit, the message is not stored */
};

/* A ban of a client network or login, or a tripped breaker, kept over restarts. */
struct ban_row {
	struct str key;     /* "net:192.0.2.1", "login:alice@example.org", "breaker:alice@example.org" */
	uint64_t level;     /* number of bans so far; 0: forget the row */
	uint64_t until;     /* ms; it can be in the past, since the level is remembered for a while */
	struct str reason;  /* a breaker's */
	uint64_t length_ms; /* the whole length of the ban; 0: not known */
};

/* Was a message not stored because one of its charges is over the limit? */
static inline bool store_is_over(struct verdict v)
{
	return v.class == TEMP && v.code == 450 && str_eq(v.enhanced, S("4.7.1"));
}

/* ---- token buckets: queue keeps them in memory; these rows survive a restart. Puts and the charges of accepts take effect in
 * the order in which they were issued. On a full disk a put gets 452. store_prune also forgets buckets that were full again
 * before `before`; each call looks at the next thousand buckets. ---- */
typedef void (*store_buckets_fn)(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n);
/* Read at the start, in pages: the rows after (key, rule), "" and "" at first; fewer than `max` rows: the last page. A put with
 * tat_us and warned_at 0 forgets the row. */
void store_buckets(struct store *st, struct str key, struct str rule, size_t max, store_buckets_fn done, void *ctx);
void store_bucket_put(struct store *st, const struct bucket_row *rows, size_t n, store_done_fn done, void *ctx);
/* The same; states_out is as in store_accept. */
void store_bucket_charge(struct store *st, const struct bucket_row *rows, size_t n, uint64_t *states_out, store_done_fn done,
			 void *ctx);

/* Has the login written to each of these addresses in the last half year (a domain without case, a local part without case)?
 * Only keyed hashes are kept, no addresses: two addresses can very rarely have the same hash. store_prune forgets older
 * entries, and the older ones of a login that has more than 100,000. */
typedef void (*store_known_fn)(void *ctx, struct verdict v, const bool *known, size_t n);
void store_known(struct store *st, struct str login, const struct str *addresses, size_t n, store_known_fn done, void *ctx);
/* While a client waits at its end of data: waits for a database that is away, as the accept that follows does. */
void store_known_patiently(struct store *st, struct str login, const struct str *addresses, size_t n, store_known_fn done,
			   void *ctx);

/* Bans: all are read once at the start; changed ones are put by key. On a full disk a put gets 452. store_prune forgets bans that
 * ended a week before `before`. */
typedef void (*store_bans_fn)(void *ctx, struct verdict v, const struct ban_row *rows, size_t n);
void store_bans(struct store *st, store_bans_fn done, void *ctx);
void store_ban_put(struct store *st, const struct ban_row *rows, size_t n, store_done_fn done, void *ctx);

#endif
