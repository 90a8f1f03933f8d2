/* table.h - what messages.def says of each message, for the codec and the channel. */
#ifndef POSTHOUSE_IPC_TABLE_H
#define POSTHOUSE_IPC_TABLE_H

#include "posthouse/ipc.h"

enum fd_rule { FD_NONE, FD_ONE, FD_MAYBE };
#define BULK   1u
#define SECRET 2u

struct message_type {
	const char *name;
	unsigned from, to;
	enum fd_rule fd;
	unsigned flags;
};

/* How a request is answered; reply = MSG_COUNT: it is no request. */
struct call_type {
	unsigned reply;
	uint64_t deadline_ms;
	void (*answer)(void (*on_reply)(void), void *ctx, struct verdict v, const union ipc_message *m, int fd);
};

extern const struct message_type message_types[MSG_COUNT];
extern const struct call_type *ipc_call_type(unsigned request); /* NULL: no request */
bool ipc_is_reply(unsigned type);
bool ipc_is_secret(struct str datagram); /* ... or not to be told from one */

/* Give a message to its handler; false when there is none. */
bool ipc_dispatch(const struct ipc_handlers *h, void *ctx, struct channel *ch, enum msg_type type, const union ipc_message *m,
		  int fd);

#endif
