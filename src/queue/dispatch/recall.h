/* recall.h - deliveries that do not go on: they are given back, lost with relay, or withdrawn. */
#ifndef QUEUE_RECALL_H
#define QUEUE_RECALL_H

#include <stdbool.h>

struct dispatch;
struct gate;
struct selector;

/* Give all parked ones back; give back those of a gate that has gone down. */
void leases_return_parked(struct dispatch *d);
void leases_return_gate(struct gate *g);

/* Relay's channel has closed. What it had is settled a moment later, as a death, unless a `stop` shows that it ended in order. */
void leases_relay_gone(struct dispatch *d);
void leases_settle_lost(struct dispatch *d, bool died);

/* An administrator removes these: relay is asked to drop what it has not begun. */
void leases_withdraw(struct dispatch *d, const struct selector *s);

#endif
