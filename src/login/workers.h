/* workers.h - threads for the steps of logins, which hash, or ask a back-end that may never answer. Each step under way has a thread of
 * its own, up to a bound; more wait in turn. A thread that waits for a back-end cannot be ended from here: it is stuck until the
 * back-end answers, and counts. */
#ifndef POSTHOUSE_LOGIN_WORKERS_H
#define POSTHOUSE_LOGIN_WORKERS_H

#include "posthouse/list.h"

#include <uv.h>

struct workers;

/* Embedded in what it is about; the caller fills in the first two. */
struct job {
	void (*work)(struct job *j);           /* on a thread of its own */
	void (*done)(struct job *j, bool ran); /* on the loop, afterwards; not ran: there was no thread for it */
	struct workers *workers;
	struct list link; /* among the waiting or the running */
	struct job *next; /* among the finished */
	uint64_t begun_at;
	bool running, ran;
};

struct workers *workers_open(uv_loop_t *loop, unsigned most);

/* Nothing waits any more. What still runs is let finish; then all is freed. */
void workers_close(struct workers *w);

/* Do the job when its turn comes; `done` comes once, never before this returns. */
void workers_run(struct workers *w, struct job *j);

/* True: it had not begun, and never will. False: it runs, `done` will come. */
bool workers_withdraw(struct job *j);

/* How many threads there may be, and how many have been at their job for longer than this. */
unsigned workers_most(const struct workers *w);
unsigned workers_stuck(const struct workers *w, uint64_t longer_than_ms);

#endif
