/* results.h - how sessions with mail servers went: counted by UTC day, domain of the recipients, policy and result (RFC 8460
 * 4.1). What was counted is in memory first, equal results as one, and follows into the store in batches: some seconds can be
 * lost by a crash, and nothing waits for the disk. */
#ifndef TLSPOLICY_RESULTS_H
#define TLSPOLICY_RESULTS_H

#include "report.h"
#include "store.h"

#include "posthouse/hashtable.h"

enum {
	RESULTS_WAITING_MAX = 10000,   /* different ones in memory; beyond, they are written at once */
	RESULTS_DAYS_MAX = 500000,     /* domains, each day for itself, that are kept */
	RESULTS_POLICIES_MAX = 64,     /* of a domain on a day */
	RESULTS_FAILURES_MAX = 100,    /* different ones of a policy; beyond, only their result counts */
	RESULTS_POLICY_MAX = 8 * 1024, /* bytes of a policy in a report */
	RESULTS_KEPT_DAYS = 7,
};
#define RESULTS_WRITE_MS (5 * SECOND_MS) /* what a crash can lose */

/* One session, or one look for a policy. failure.count is how often. */
struct session_result {
	struct str domain; /* of the recipients: A-labels, lower case */
	enum report_policy type;
	struct str policy_domain, text, mx;
	struct report_failure failure; /* result TLS_RESULT_SUCCESSFUL: the other fields do not count */
};

struct results {
	struct store *store;
	struct hashtable waiting;
	struct arena arena;   /* of those that wait */
	uint64_t days;        /* rows in the store */
	uint64_t counted;     /* since the start */
	uint64_t not_counted; /* because a bound was reached, or the store did not take them */
};

void results_init(struct results *r, struct store *store);
void results_fini(struct results *r); /* what waits is written */

void results_count(struct results *r, const struct session_result *s, uint64_t now_ms);
void results_write(struct results *r);

/* Removes what is older than RESULTS_KEPT_DAYS, or of a time that has not come; at most some hundred rows in each call. */
void results_prune(struct results *r, uint64_t now_ms);

/* What was counted on that day (its beginning), without what waits to be written; policies_n 0: nothing. In `a`; org and contact
 * are left to the caller, and `id` is without its "@" and domain. At most `failures_max` failures of each policy, the most
 * frequent first. */
void results_report(struct store *s, struct arena *a, struct str domain, uint64_t day_ms, size_t failures_max,
		    struct report *report_out);

#endif
