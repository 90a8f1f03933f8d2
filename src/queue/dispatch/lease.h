/* lease.h - deliveries: recipients of one message that go to relay together. Leases live in memory; what became of them is settled
 * with the store, and whatever a dead queue leaves behind is due again. */
#ifndef QUEUE_LEASE_H
#define QUEUE_LEASE_H

#include "dispatch/message.h"

#include "posthouse/ipc.h"

struct channel;
struct gate;
struct dispatch;

/*   PARKED    waits for a slot of its gate; relay knows nothing of it
 *   OPENING   the store opens the large message's file
 *   SENT      relay has it
 *   LOST      relay died with it; about to be settled as "outcome unknown"
 *   SETTLING  the store records the outcomes */
enum lease_state { LEASE_NEW, LEASE_PARKED, LEASE_OPENING, LEASE_SENT, LEASE_LOST, LEASE_SETTLING };

struct lease {
	struct list in_list; /* of the gate (PARKED) or of the queue */
	enum lease_state state;
	uint64_t number;
	struct message *message;
	struct gate *gate; /* NULL: there is no way for it now */
	uint64_t charge;   /* of the gate's limits; 0: none */
	uint64_t sent_at;
	bool withdrawn;  /* an administrator removes it: what relay could not deliver does not count as tried */
	bool held;       /* SETTLING, and the store had no room for it: it is given again */
	bool tell_relay; /* its result came from relay, which keeps it until we say `settled` */
	struct due_recipient *recipients;
	size_t recipients_n;
	struct outcome *outcomes; /* one per recipient, from SETTLING on */
};

struct leases {
	struct list all; /* those that are not PARKED */
	size_t count;    /* all, PARKED too */
	size_t bytes;    /* texts and prefixes of messages with leases */
	uint64_t next_number;
	uv_timer_t lost; /* see leases_relay_gone() */
	struct credit_wait credit;
};

void lease_table_init(struct dispatch *d);

/* How many more may be leased: all deliveries together take a bounded amount of memory, however many next hops are slow. */
size_t leases_free(const struct dispatch *d);

/* The same, without those that the running round has asked for. */
size_t leases_left(const struct dispatch *d);

/* The clock was set back: what is on its way was sent now. */
void leases_mend(struct dispatch *d, uint64_t now);

/* The end of all, when the store has closed. */
void leases_drop(struct dispatch *d);

/* A delivery that relay has, or whose result is being settled; NULL. */
struct lease *lease_find(struct dispatch *d, uint64_t number);

/* A delivery of the message by this gate (NULL: no way); it has a part in the message. */
struct lease *lease_new(struct message *m, struct gate *g);

/* Moves a lease and keeps the gates' counts. */
void lease_enter(struct lease *l, enum lease_state state);
void lease_free(struct lease *l);

#endif
