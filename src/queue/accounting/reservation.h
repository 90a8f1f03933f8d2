/* reservation.h - what was promised to a client before its message is there, so that the client hears early, recipient by
 * recipient, what a limit does not allow. */
#ifndef QUEUE_RESERVATION_H
#define QUEUE_RESERVATION_H

#include "accounting/admission.h"
#include "accounting/quota.h"

/* For which commands the session has to ask: bits of `authorized`. */
uint64_t reserving(const struct client *c);

/* The transaction is over, with or without `submit` (which charges): its reservation ends. */
void reservation_end(struct accounting *acc, const struct channel *ch, uint64_t transaction);

/* Drop all reservations of a client. */
void reservations_drop(struct client *c);

void reserve_peer_gone(struct accounting *acc, const struct channel *ch);

/* Message of submission. `acc` is NULL: see admission.h. */
void accounting_reserve(struct accounting *acc, struct channel *ch, const struct msg_reserve *m);

#endif
