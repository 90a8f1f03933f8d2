/* lockouts.h - who asks for a banned login from a network that it has not used: since when. A login that strangers guess without end is banned
 * without end; its owner, with the right password, is not to wait for longer than an hour, and nobody can tell him from them. So each network
 * has one attempt when it has waited for an hour. In memory and bounded: the oldest of the
 * login and the site that have most give way, so that nobody with many addresses drives others' out before their hour. */
#ifndef QUEUE_LOCKOUTS_H
#define QUEUE_LOCKOUTS_H

#include "posthouse/hash.h"
#include "posthouse/hashtable.h"

struct accounting;

struct lockouts {
	struct hashtable table, shares;
};

void lockouts_init(struct accounting *acc);
void lockouts_fini(struct accounting *acc);

/* The login, or the password of its device, is banned, and asked for from this network: how long yet until the first time was an hour ago, in ms? 0: this attempt may be
 * judged, and the next hour begins with the next one. */
uint64_t lockout_ms(struct accounting *acc, struct str login, struct str device, struct str network, uint64_t now);

#endif
