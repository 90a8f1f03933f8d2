/* show.h - limits, bans and breakers as an administrator sees them, and begins them anew. */
#ifndef QUEUE_SHOW_H
#define QUEUE_SHOW_H

#include "posthouse/ipc.h"

struct queue;

void limits_admin_peer_gone(struct queue *q, const struct channel *ch);

/* Handlers; their ctx is the role. */
void handle_limits_page(void *ctx, struct channel *ch, const struct msg_limits_page *m, int fd);
void handle_limits_reset(void *ctx, struct channel *ch, const struct msg_limits_reset *m, int fd);

#endif
