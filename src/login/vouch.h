/* vouch.h - queue is told who has logged in, and who has failed: it counts failures, knows of bans, keeps the record of the
 * session, and has the last word. A queue that is away is waited for. */
#ifndef POSTHOUSE_LOGIN_VOUCH_H
#define POSTHOUSE_LOGIN_VOUCH_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct login;

struct vouches {
	struct list open;
	size_t open_n;
	uv_timer_t timer;    /* while there are some: for those that wait */
	uint64_t generation; /* counts the queues that have connected */
};

/* One question to queue; its owner has the memory. `m` and its texts stay as they are until `done` is called or it is dropped. */
struct vouch {
	struct login *login;
	struct list link;
	struct msg_authenticated m;
	void (*done)(void *ctx, const struct msg_authorized *m); /* once; NULL: nobody has decided */
	void *ctx;
	uint64_t call;       /* 0: it waits, … */
	bool again;          /* … for queue to hear of the session from submission; else for the next queue */
	uint64_t generation; /* of the queue that was asked */
	uint64_t give_up_at; /* monotonic ms */
};

void vouches_init(struct login *l);
void vouches_close(struct login *l);
void vouches_queue_up(struct login *l); /* a queue has connected */

/* False: so many are open that no more should begin, for a listed host or a user of this machine. */
bool vouches_have_room(const struct login *l);

/* `m`, `done` and `ctx` are filled in. `done` comes from the loop, after VOUCH_MS at the latest. */
#define VOUCH_MS 10000
void vouch_begin(struct login *l, struct vouch *v);
void vouch_drop(struct vouch *v); /* nobody waits any more; harmless when it is over */

#endif
