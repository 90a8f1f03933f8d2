/* message.h - a message of which recipients were leased. */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include "posthouse/list.h"
#include "posthouse/store.h"

struct lease;
struct dispatch;

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

/* Upper bounds of what the codec needs: for one recipient; for everything but the recipients; for the whole datagram of the delivery. */
size_t recipient_bytes(const struct due_recipient *r);
size_t delivery_fixed_bytes(const struct lease *l);
size_t delivery_bytes(const struct lease *l);

#endif
