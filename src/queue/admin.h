/* admin.h - the console's questions and orders. */
#ifndef QUEUE_ADMIN_H
#define QUEUE_ADMIN_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct queue;

struct admin {
	struct list calls; /* that the store works on */
	size_t n;
};

void admin_init(struct queue *q);
void admin_peer_gone(struct queue *q, const struct channel *ch);

/* Handlers; their ctx is the role. */
void handle_queue_page(void *ctx, struct channel *ch, const struct msg_queue_page *m, int fd);
void handle_queue_alter(void *ctx, struct channel *ch, const struct msg_queue_alter *m, int fd);
void handle_queue_show(void *ctx, struct channel *ch, const struct msg_queue_show *m, int fd);
void handle_trace(void *ctx, struct channel *ch, const struct msg_trace *m, int fd);

#endif
