/* played.h - the real process of a role. The test plays master and the role's peers at the other ends of its channels. */
#ifndef POSTHOUSE_TEST_ROLE_PLAYED_H
#define POSTHOUSE_TEST_ROLE_PLAYED_H

#include "../net/fixture.h"

#include "posthouse/ipc.h"

struct played {
	uv_loop_t *loop;
	struct arena arena;
	enum role_id role;
	const char *program;
	struct channel *master, *peers[ROLE_COUNT]; /* NULL: not connected */
	pid_t pid;                                  /* 0: not running */
	unsigned configured, ready, stopped, pongs;
	struct verdict configure_verdict;
};

/* Start the process and give it its first configuration. */
void played_start(struct played *p, const struct config *c);

/* Both phases of a configuration; false when the role refuses it. */
bool played_configure(struct played *p, const struct config *c);

/* Connect a peer, and wait until the role knows it. Its handlers get the struct played as `ctx`. */
void played_connect(struct played *p, enum role_id peer, const struct ipc_handlers *handlers);

/* The peer dies: its channel closes, and nothing comes from it or goes to it any more. */
void played_disconnect(struct played *p, enum role_id peer);

/* The way of SIGTERM: begin it; wait until the process has drained and has ended with 0. */
void played_stop(struct played *p, uint64_t grace_ms);
void played_wait(struct played *p);

/* Stop the process if it runs, close all channels, free the memory. */
void played_end(struct played *p);

#endif
