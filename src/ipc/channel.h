/* channel.h - struct channel, for channel.c and calls.c only. */
#ifndef POSTHOUSE_IPC_CHANNEL_H
#define POSTHOUSE_IPC_CHANNEL_H

#include "bounds.h"
#include "posthouse/list.h"

struct channel {
	uv_poll_t poll;
	uv_timer_t sweep; /* looks for calls past their deadline while there are calls */
	uv_loop_t *loop;
	int fd;
	struct channel_config config;
	uint64_t peer_incarnation; /* 0: no hello yet */
	struct list control, bulk; /* struct datagram */
	size_t queued;             /* datagrams of both lists */
	size_t bytes[2];           /* of control, of bulk */
	size_t descriptors;        /* of both lists */
	struct open_requests open[MSG_COUNT];
	struct message_rate rate;
	struct list calls; /* struct call, oldest first */
	size_t credit_used;
	struct credit_wait *waiting;
	struct arena arena; /* of the message being handled */
	bool closing;
	const char *reason;
	enum channel_end end;
	struct list closing_link, granting_link;
	int open_handles;
};

/* There is credit for those who wait: call channel_grant() from the loop. */
void calls_defer_grant(struct channel *ch);
/* All open calls of a closing channel are answered TEMP, then its on_closed comes; from the loop. */
void calls_fail(struct channel *ch);
/* Answer the call that this reply names; a late one is dropped. Owns fd. */
void calls_answer(struct channel *ch, enum msg_type type, const union ipc_message *m, int fd);
void calls_hold_credit(uint64_t call, size_t bytes);

void channel_return_credit(struct channel *ch, size_t bytes);
void channel_grant(struct channel *ch);

#endif
