/* workers.h - threads for the steps of logins, which hash, or ask a back-end that never answers. Each step under way has a
 * thread of its own, up to a bound; more wait in turn. A thread that waits for a back-end cannot be ended from here: it is stuck
 * until the back-end answers, and counts. */
#ifndef POSTHOUSE_LOGIN_WORKERS_H
#define POSTHOUSE_LOGIN_WORKERS_H

#include "posthouse/list.h"

#include <uv.h>

struct workers;

/* Embedded in a struct of the caller, who sets `work` and `done`. */
struct job {
	void (*work)(struct job *j);           /* on a thread of its own */
	void (*done)(struct job *j, bool ran); /* on the loop, afterwards; ran is false when no thread could be started */
	struct workers *workers;
	struct list link; /* among the waiting or the running */
	struct job *next; /* among the finished */
	uint64_t begun_at;
	bool running, ran;
};

struct workers *workers_open(uv_loop_t *loop, unsigned most);

/* No job waits any more. Running jobs are completed; then everything is freed. */
void workers_close(struct workers *w);

/* Run the job when a thread is free. `done` is called once, never before this function returns. */
void workers_run(struct workers *w, struct job *j);

/* True: the job had not begun, and will not run. False: it runs, and `done` will be called. */
bool workers_withdraw(struct job *j);

/* The largest number of threads, and the number of those whose job has taken longer than this. */
unsigned workers_most(const struct workers *w);
unsigned workers_stuck(const struct workers *w, uint64_t longer_than_ms);

#endif
