/* dsn_rules.h - who is told of what. */
#ifndef QUEUE_DSN_RULES_H
#define QUEUE_DSN_RULES_H

#include "posthouse/store.h"

/* Does the sender want to hear that this (KIND_FAILURE, KIND_DELAY, KIND_SUCCESS) has become of a recipient with these NOTIFY bits? */
bool report_wanted(enum message_kind about, unsigned notify);

/* Put those recipients first whose sender wants to be told, in their order; returns how many they are. */
size_t report_sort(struct arena *a, enum message_kind about, struct unreported *parent);

/* Double bounces of which the postmaster is told; a flood of them is not passed on. Who stores a note counts it in `n`. */
struct postmaster_copies {
	uint64_t since, n;
	uint64_t skipped; /* messages that the postmaster is still to be told of, by their number */
};
bool postmaster_copy_allowed(struct postmaster_copies *copies, uint64_t now);

#endif
