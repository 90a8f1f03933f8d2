/* failures.h - policies that could not be had lately: the same one (by its id) is not fetched again for five minutes (RFC 8461
 * 3.3). In memory only; when there are too many, the oldest is forgotten. */
#ifndef TLSPOLICY_FAILURES_H
#define TLSPOLICY_FAILURES_H

#include "posthouse/hashtable.h"
#include "posthouse/tls_result.h"

enum { FAILURES_MAX = 10000, FAILURE_WHY_MAX = 512 };

struct failure {
	struct hashtable_item item;
	struct list link; /* the oldest is the first */
	struct arena arena;
	struct str domain, id, why;
	enum tls_result fault;
	uint64_t until_mono;
};

struct failures {
	struct hashtable by_domain;
	struct list all;
};

void failures_init(struct failures *f);
void failures_fini(struct failures *f);

/* NULL: there is none of this domain and id. */
const struct failure *failures_find(struct failures *f, struct str domain, struct str id, uint64_t mono);
/* It replaces the one that is there, and ends after for_ms. */
void failures_add(struct failures *f, struct str domain, struct str id, enum tls_result fault, struct str why, uint64_t mono,
		  uint64_t for_ms);

#endif
