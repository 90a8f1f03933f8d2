/* show.h - limits, bans and breakers for an administrator: show them, and reset them. */
#ifndef QUEUE_SHOW_H
#define QUEUE_SHOW_H

#include "posthouse/ipc.h"

struct accounting;

void resets_peer_gone(struct accounting *acc, const struct channel *ch);

/* Messages of the console. */
void accounting_limits_page(struct accounting *acc, struct channel *ch, const struct msg_limits_page *m);
void accounting_limits_reset(struct accounting *acc, struct channel *ch, const struct msg_limits_reset *m);

#endif
