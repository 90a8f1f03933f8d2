/* breaker.h - a sudden change in what a login does, which is what a stolen password looks like: many new recipients, many refused ones,
 * logins from many networks. Then its mail, also what waits already, is held until an administrator has looked. */
#ifndef QUEUE_BREAKER_H
#define QUEUE_BREAKER_H

#include "accounting/account.h"
#include "accounting/ban.h"

/* The breaker of the login when it has tripped; NULL. */
const struct ban *breaker_tripped(const struct account *a);

/* A message to so many new recipients is about to be accepted; somebody has logged in from a network; one of its recipients was
 * delivered to, or refused for good. */
void breaker_sent(struct account *a, uint64_t new_recipients, uint64_t now);
void breaker_logged_in(struct account *a, struct str network, uint64_t now);
void breaker_finished(struct accounting *acc, struct str login, bool refused, uint64_t now);

/* What a tripped breaker still has to hold, and those that wait for a store that can. */
struct breakers {
	struct list holdings;
	uv_timer_t retry;
};
void breakers_init(struct accounting *acc);
void breakers_fini(struct accounting *acc);

#endif
