/* failed_logins.h - failed logins, counted per client network, per login name as the client gave it (known or not), and per
 * device password. When there are too many, the network is banned for a day at most, or the login for an hour at most; each
 * ban is longer than the last. A network from which people log in successfully (seen_networks.h) is slowed instead. Clients
 * choose the names and networks, so their number in memory and in the store is bounded. */
#ifndef QUEUE_FAILED_LOGINS_H
#define QUEUE_FAILED_LOGINS_H

#include "accounting/bucket.h"

struct accounting;

struct failed_logins {
	struct list recent; /* struct bucket, in_recent */
	size_t n;
};

extern const struct bucket_user failed_logins_rule;
void failed_logins_init(struct accounting *acc);

/* The configuration has changed: failures that were counted for another rate are dropped. */
void failed_logins_apply(struct accounting *acc);

/* Below, `a` is for texts that are needed during the call. */

/* The remaining ban of the client network, or of the login, in ms; 0 when it is not banned. */
uint64_t network_banned_ms(struct accounting *acc, struct arena *a, struct str network, uint64_t now);
uint64_t login_banned_ms(struct accounting *acc, struct arena *a, struct str login, struct str device, uint64_t now);

/* Would the network be banned, if it were not one from which people log in successfully? */
bool network_is_slowed(struct accounting *acc, struct arena *a, struct str network, uint64_t now);

/* The reply 421 to a client whose network is banned for `ms` more. */
struct verdict network_banned(struct arena *a, uint64_t ms);

/* Count a failed login of `client` from this network (which is banned for `longest_ms` at most), or of this login. True: that
 * was too much, and a ban begins. */
bool network_failed(struct accounting *acc, struct arena *a, struct str network, struct str client, uint64_t longest_ms,
		    uint64_t now);
bool login_failed(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str client, uint64_t now);

/* Turns, where no ban is allowed: the login comes from a network that it has used before, or (login "") it is new in a network
 * from which others log in. turn_failed() counts a failure. Above the rate all attempts, right or wrong, take turns, one each
 * `slot_ms`: turn_wait_ms() takes a turn and returns how long to wait for it in ms; TURN_NEVER: too many wait already. */
#define TURN_NEVER UINT64_MAX
void turn_failed(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str network, uint64_t now);
uint64_t turn_wait_ms(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str network,
		      uint64_t slot_ms, uint64_t now);

/* ---- lockouts.c: since when a banned login has been tried from a network that it has not used before ----
 *
 * A login that is guessed without end is banned without end, but its owner, who has the right password, must not wait for
 * longer than an hour, and cannot be told from the guessers. So each network has one attempt after it has waited for an hour.
 * In memory and bounded: the oldest entry of the login and the site with the most entries is dropped, so that a guesser with
 * many addresses does not push others out before their hour. */

struct lockouts {
	struct hashtable table, shares;
};

void lockouts_fini(struct accounting *acc);

/* A banned login (or device password) is tried from this network: how long until it has waited for an hour, in ms. 0: this
 * attempt is allowed to be judged, and the next attempt begins a new hour. */
uint64_t lockout_ms(struct accounting *acc, struct arena *a, struct str login, struct str device, struct str network,
		    uint64_t now);

#endif
