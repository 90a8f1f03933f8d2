/* breaker.h - the breaker of a login: it trips on a sudden change, which is how a stolen password shows itself: many new
 * recipients, many refused recipients, logins from many networks. Then all mail of the login is held, also mail that waits
 * already, until an administrator has looked. */
#ifndef QUEUE_BREAKER_H
#define QUEUE_BREAKER_H

#include "accounting/account.h"
#include "accounting/ban.h"

/* The tripped breaker of the login; NULL when it has not tripped. */
const struct ban *breaker_tripped(const struct account *a);

/* What the breaker watches: a message to this number of new recipients is about to be accepted; somebody has logged in from
 * this network; a recipient was delivered to, or refused for good. */
void breaker_sent(struct account *a, uint64_t new_recipients, uint64_t now);
void breaker_logged_in(struct account *a, struct str network, uint64_t now);
void breaker_finished(struct accounting *acc, struct str login, bool refused, uint64_t now);

/* Tripped breakers whose waiting mail could not be held because of the store: they are tried again. */
struct breakers {
	struct list holdings;
	uv_timer_t retry;
};
extern const struct bucket_user breaker_networks_rule;
void breakers_init(struct accounting *acc);
void breakers_fini(struct accounting *acc);

#endif
