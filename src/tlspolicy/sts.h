/* sts.h - the MTA-STS policies of domains (RFC 8461): answers from what is kept, finds what is not, keeps it, and refreshes it
 * before it expires. */
#ifndef TLSPOLICY_STS_H
#define TLSPOLICY_STS_H

#include "discovery.h"
#include "failures.h"
#include "policies.h"
#include "steady.h"

struct sts {
	struct role *role;
	struct store *store;
	struct steady clock;
	struct failures recent;
	struct discoveries discoveries;
	uv_timer_t tick;
	bool mended;       /* policies from the future, since the clock is calm */
	size_t refreshing; /* under way */
	uint64_t asked, ticks;
	struct policies_size kept; /* about so many policies, and no more than so much of the disk */
};

void sts_init(struct sts *s, struct role *r, struct dns *dns, struct store *store);
void sts_fini(struct sts *s);

/* Answers by sts_found. */
void sts_ask(struct sts *s, struct channel *ch, const struct msg_sts_find *m);
/* The channel has closed: its questions get no answer. */
void sts_drop(struct sts *s, const struct channel *ch);

#endif
