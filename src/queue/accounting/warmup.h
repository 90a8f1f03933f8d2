/* warmup.h - a new address or account gets little mail at first, and twice as much after each span of time: receivers trust what
 * grows slowly. The allowance of a day is a token bucket whose amount grows; when the first message went is kept in the store. */
#ifndef QUEUE_WARMUP_H
#define QUEUE_WARMUP_H

#include "accounting/bucket.h"

struct warmup {
	struct bucket *messages; /* NULL: there is no warm-up */
	struct bucket *since;    /* its time is that of the first message, put off by a century */
	struct cfg_warmup config;
};

/* The buckets of `key` ("upstream:isp", "mx") for this configuration; start 0: none. */
void warmup_begin(struct warmup *w, struct accounting *acc, struct str key, struct cfg_warmup config);
void warmup_end(struct warmup *w);

/* Bring the amount of the bucket to what is allowed now. */
void warmup_grow(const struct warmup *w, uint64_t now);

/* A message goes: the first one begins the warm-up. */
void warmup_charge(const struct warmup *w, uint64_t now);

/* For status: "day 3 of the warm-up, 100 a day"; "" when there is none, or when it is over. */
struct str warmup_text(const struct warmup *w, struct arena *a, uint64_t now);

/* The rule of bucket.h for `since`. */
extern const struct bucket_user warmup_since_rule;

#endif
