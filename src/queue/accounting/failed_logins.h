/* failed_logins.h - failed logins, counted per client network and per login name as it was tried, known or not, and for each device password by
 * itself; too many are banned, each time for longer: a network for a day at most, a login for an hour. A network from which people get in
 * (home_networks.h) is slowed instead. Names and networks are of strangers' choice: their number in memory and in the store is bounded. */
#ifndef QUEUE_FAILED_LOGINS_H
#define QUEUE_FAILED_LOGINS_H

#include "accounting/bucket.h"

struct accounting;

struct failed_logins {
	struct list recent; /* struct bucket, in_recent */
	size_t n;
};

void failed_logins_init(struct accounting *acc);

/* The configuration has changed: failures of another rate do not count any more. */
void failed_logins_apply(struct accounting *acc);

/* Is the client network, is the login banned? How long yet, in ms; 0: no. */
uint64_t network_banned_ms(struct accounting *acc, struct str network, uint64_t now);
uint64_t login_banned_ms(struct accounting *acc, struct str login, struct str device, uint64_t now);

/* Had it been banned, if nobody got in from there? */
bool network_is_slowed(struct accounting *acc, struct str network, uint64_t now);

/* 421: so long yet. */
struct verdict network_banned(struct arena *a, uint64_t ms);

/* One more failed login from this network, by `client` (banned for `longest_ms` at most); for this login. True: that is too much, it is banned
 * from now on. */
bool network_failed(struct accounting *acc, struct str network, struct str client, uint64_t longest_ms, uint64_t now);
bool login_failed(struct accounting *acc, struct str login, struct str device, struct str client, uint64_t now);

/* A failed login from a network of the login's own, where no ban holds; above the rate its attempts from there, right or wrong, take turns,
 * one each `slot_ms`. Login "": all that are not at home in a network from which others get in, together. Then how long does this one wait for its own, which it takes hereby? TURN_NEVER: too many wait before it. */
#define TURN_NEVER UINT64_MAX
void turn_failed(struct accounting *acc, struct str login, struct str device, struct str network, uint64_t now);
uint64_t turn_wait_ms(struct accounting *acc, struct str login, struct str device, struct str network, uint64_t slot_ms,
		      uint64_t now);

#endif
