/* delivery.h - the way of deliveries: a message is divided into deliveries, these are sent to relay, or do not go on. */
#ifndef QUEUE_DELIVERY_H
#define QUEUE_DELIVERY_H

#include "dispatch/lease.h"

/* ---- splitting.c ---- */

/* Divide the recipients by next hop, number and size of the datagram into deliveries, and park these. Recipients for which no
 * next hop is open go back into the queue until one opens, or end there when their time is over. scan_only: the message was
 * leased, without its text, only to find expired recipients, and all others go back to their places in the lane. This ends the
 * fetching of `m`. */
void message_dispatch(struct message *m, bool scan_only);

/* ---- sending.c ---- */

/* Send parked deliveries while there are slots and credit. */
void leases_send(struct dispatch *d);

/* Relay's channel closes, or the queue ends: stop waiting for credit. */
void leases_stop_sending(struct dispatch *d);

/* ---- recall.c: given back, orphaned by relay's end, withdrawn ---- */

/* Give back all parked deliveries; those of one next hop, which has gone down. */
void leases_return_parked(struct dispatch *d);
void leases_return_nexthop(struct nexthop *hop);

/* Relay's channel has closed. The deliveries that it had are settled a moment later. died: relay died with them; not so when the
 * whole program stops, since then relay has ended in order. */
void leases_relay_gone(struct dispatch *d);
void leases_settle_orphans(struct dispatch *d, bool died);

/* Deliveries of these messages are to be held or removed, as store_alter() says: those that wait here go back to the store, and
 * relay is asked to drop those that it has not begun. */
void leases_withdraw(struct dispatch *d, const uint64_t *messages, size_t n);

/* ---- re_sign.c: relay had to convert a message for its next hop, so the signatures do not hold any more. It gets fresh ones
 * from vault, but only for a message that it has, and only in the name of the domain for which the message was signed before.
 * ---- */

struct re_signs {
	struct list all; /* struct re_sign: vault is asked */
	size_t n;
};

void re_signs_init(struct dispatch *d);

/* Relay has gone, or the queue ends: give up all. */
void re_signs_cancel(struct dispatch *d);

#endif
