/* lockouts.h - since when a banned login has been tried from a network that it has not used before. A login that is guessed
 * without end is banned without end, but its owner, who has the right password, must not wait for longer than an hour, and
 * cannot be told from the guessers. So each network has one attempt after it has waited for an hour. In memory and bounded:
 * the oldest entry of the login and the site with the most entries is dropped, so that a guesser with many addresses does not
 * push others out before their hour. */
#ifndef QUEUE_LOCKOUTS_H
#define QUEUE_LOCKOUTS_H

#include "posthouse/hashtable.h"

struct accounting;

struct lockouts {
	struct hashtable table, shares;
};

void lockouts_fini(struct accounting *acc);

/* A banned login (or device password) is tried from this network: how long until it has waited for an hour, in ms. 0: this
 * attempt is allowed to be judged, and the next attempt begins a new hour. */
uint64_t lockout_ms(struct accounting *acc, struct str login, struct str device, struct str network, uint64_t now);

#endif
