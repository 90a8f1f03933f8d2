/* message.h - a message of which recipients were leased, and how they are divided into deliveries. */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include "posthouse/list.h"
#include "posthouse/store.h"

struct lease;
struct dispatch;

#define DELIVERY_RECIPIENTS_MAX 100

/* A message of which recipients are leased, shared by its deliveries; it ends with the last. */
struct message {
	struct list in_fetched; /* of the scheduler */
	struct dispatch *dispatch;
	struct arena arena;
	struct due_message due; /* views into the arena */
	size_t leases;          /* the fetching counts as one */
};

/* A copy of what the store has leased to us; message_add() takes its siblings' recipients in. */
struct message *message_new(struct dispatch *d, const struct due_message *due);
void message_add(struct message *m, const struct due_recipient *recipients, size_t n);

/* Split by way, count and datagram size into deliveries, and park them. Recipients that have no open way go back into the queue (or
 * end there, when their time is over) until one opens; `in_place`: this was only to find those, the texts were not asked for, and
 * all others go back to where they were. The fetching of `m` ends. */
void message_dispatch(struct message *m, bool in_place);

/* One of its leases has ended; the last one takes the message along. */
void message_release(struct message *m);

/* More than the codec can need for the delivery's datagram. */
size_t delivery_bytes(const struct lease *l);

#endif
