/* lease.h - a lease is one delivery: recipients of one message that go to relay together. Leases live in memory, and the store
 * records their outcomes. The recipients of leases that a queue leaves behind when it dies are due again. The store knows which
 * recipients it has given out, and nothing else; what a lease waits for, and with which outcome it ends, is known here alone. */
#ifndef QUEUE_LEASE_H
#define QUEUE_LEASE_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "posthouse/store.h"

struct dispatch;
struct lease;
struct nexthop;
struct share;

#define DELIVERY_RECIPIENTS_MAX 100

/* A message of which recipients are leased. Its deliveries share it, and the last one frees it. */
struct message {
	struct list in_fetched; /* of the scheduler */
	struct dispatch *dispatch;
	struct arena arena;
	struct due_message due; /* views into the arena */
	size_t leases;          /* while it is fetched, that counts as one */
};

/* A copy of what the store has leased. / Add recipients of the same message that came from other lanes. */
struct message *message_new(struct dispatch *d, const struct due_message *due);
void message_add(struct message *m, const struct due_recipient *recipients, size_t n);

/* One of its leases has ended; the last one frees the message. */
void message_release(struct message *m);

/* Upper bounds of what the codec needs: for one recipient; for everything but the recipients; for the whole datagram of the
 * delivery. */
size_t recipient_bytes(const struct due_recipient *r);
size_t delivery_fixed_bytes(const struct lease *l);
size_t delivery_bytes(const struct lease *l);

/*   PARKED    waits for a slot of its next hop; relay knows nothing of it
 *   OPENING   the store opens the file of the large message
 *   SENT      relay has it
 *   ORPHANED  relay had it and has ended; it is about to be settled as "outcome unknown"
 *   SETTLING  the store records the outcomes */
enum lease_state { LEASE_NEW, LEASE_PARKED, LEASE_OPENING, LEASE_SENT, LEASE_ORPHANED, LEASE_SETTLING };

struct lease {
	struct list in_list; /* of the next hop (PARKED), or leases.all */
	enum lease_state state;
	uint64_t number;
	struct message *message;
	struct nexthop *nexthop; /* NULL: there is none for it now */
	uint64_t charge;         /* of the next hop's rates, see nexthop_rate_charge(); 0: none */
	struct share *share;     /* that counts it; NULL: none */
	uint64_t sent_at;
	struct str from;   /* its only author, see `deliver` in messages.def; in the message's arena */
	bool withdrawn;    /* an administrator removes it: if relay could not deliver it, that is no attempt */
	bool held;         /* SETTLING, but the store had no room for the outcomes: they are offered again */
	bool tell_relay;   /* its result came from relay, which keeps it until it gets `settled` */
	unsigned re_signs; /* see re_sign.c */
	struct due_recipient *recipients;
	size_t recipients_n;
	struct outcome *outcomes; /* one per recipient, from SETTLING on */
};

struct leases {
	struct list all; /* all that are not PARKED */
	size_t count;    /* all, also PARKED ones */
	size_t bytes;    /* texts and prefixes of messages with leases */
	uint64_t next_number;
	uv_timer_t orphans; /* see leases_relay_gone() */
	struct credit_wait credit;
};

void lease_table_init(struct dispatch *d);

static inline size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* How many more can be leased: all deliveries together use a bounded amount of memory, however many next hops are slow. */
size_t leases_free(const struct dispatch *d);

/* The same, without the deliveries that the running round has asked for. */
size_t leases_left(const struct dispatch *d);

/* The clock was set back: deliveries that seem to have been sent later than now count as sent now. */
void leases_mend(struct dispatch *d, uint64_t now);

/* The store has closed: free all. */
void leases_drop(struct dispatch *d);

/* The delivery with this number that relay has, or whose outcomes are being recorded; NULL: there is none. */
struct lease *lease_find(struct dispatch *d, uint64_t number);

/* A delivery of the message by this next hop (NULL: there is none for it). It keeps the message alive. */
struct lease *lease_new(struct message *m, struct nexthop *hop);

/* Move the lease to another state, and keep the counts of its next hop. */
void lease_enter(struct lease *l, enum lease_state state);
void lease_free(struct lease *l);

/* Count it against its next hop's rates and its share of the route. / It came to nothing: harmless when it does not count. */
void lease_charge(struct lease *l, struct share *share);
void lease_uncharge(struct lease *l);

/* ---- settle.c: the outcomes of a delivery are offered to the store until it has them ---- */

struct settling {
	uv_timer_t retry;
	bool failing; /* the store has no room for outcomes: nothing is leased until it has room */
	size_t held;  /* leases whose outcomes wait for the next try */
};

void settle_init(struct dispatch *d);

/* Record l->outcomes. This ends the lease. Where the result came from relay, relay gets `settled` once the outcomes are
 * durable. */
void settle(struct lease *l);

#endif
