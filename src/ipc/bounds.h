/* bounds.h - what a peer can make this process keep for it, by messages alone. A peer that passes a bound loses its channel: the
 * process goes on. All are far above what an honest role needs with 48 submission processes, 20,000 sessions in one of them and
 * messages to 10,000 recipients. Bounds of what one message means (sessions, transactions, reservations and so on) are beside the
 * data that they bound; HACKING lists all of them. */
#ifndef POSTHOUSE_IPC_BOUNDS_H
#define POSTHOUSE_IPC_BOUNDS_H

#include "table.h"

#include "posthouse/units.h"

/* What waits for a peer that does not read. Credit (2 MiB) stops those who send text long before. */
#define CONTROL_BYTES_MAX (32 * MIB)
#define BULK_BYTES_MAX    (32 * MIB)
#define DESCRIPTORS_MAX   2048 /* leases of queue are 1000 */

/* Requests of one kind that wait for their answer. A session has one request of a kind under way; a delivery too. */
#define OPEN_OF_SESSIONS 100000 /* of roles that act for sessions and deliveries; the look-ups of one have 41 questions */
#define OPEN_OF_OTHERS   5000   /* console passes on what 32 command lines ask */
#define OPEN_OF_CLI      128    /* `status` asks all processes at once */

/* The requests of one kind that came from the peer and were not answered. After its deadline a request is forgotten, as its
 * sender does: one that the sender has cancelled is perhaps never answered. */
struct open_requests {
	unsigned now, before; /* that came in this period, and in the one before */
	uint64_t since;       /* the begin of this period, in ms of the loop */
};

/* Count a request of this kind from the peer; false: there are too many. */
bool bounds_take(struct open_requests open[MSG_COUNT], unsigned request, enum role_id peer, uint64_t now);

/* This reply goes to the peer. */
static inline void bounds_give(struct open_requests open[MSG_COUNT], unsigned reply)
{
	struct open_requests *o = &open[reply];

	if (o->before > 0)
		o->before--;
	else if (o->now > 0)
		o->now--;
}

/* How many messages of any kind a peer can send: `per_s` in the long run (0: any number), ten times as many at once. */
struct message_rate {
	uint64_t per_s, tokens_ms; /* a token is 1000 */
	uint64_t at;               /* ms of the loop */
};

bool bounds_rate(struct message_rate *r, uint64_t now);

#endif
