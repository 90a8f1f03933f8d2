/* dsn_rules.h - who is told of what. */
#ifndef QUEUE_DSN_RULES_H
#define QUEUE_DSN_RULES_H

#include "posthouse/store.h"

/* Does the sender want a DSN of this kind (KIND_FAILURE, KIND_DELAY, KIND_SUCCESS) about a recipient with these NOTIFY bits? */
bool report_wanted(enum message_kind about, unsigned notify);

/* Put the recipients first for which the sender wants a DSN, in their order. Returns how many they are. */
size_t report_sort(struct arena *a, enum message_kind about, struct unreported *parent);

/* Copies that the postmaster gets of double bounces; a flood of them is not passed on. dsn.c counts a copy in `n` when it is
 * stored. */
struct postmaster_copies {
	uint64_t since, n;
	uint64_t skipped; /* messages without a copy; the postmaster is still to be told how many they are */
};
bool postmaster_copy_allowed(struct postmaster_copies *copies, uint64_t now);

#endif
