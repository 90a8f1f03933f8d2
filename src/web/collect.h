/* collect.h - what all roles tell of themselves, asked at the same time. A role that is away or slow is left out after a while:
 * whoever monitors wants to hear of the others. */
#ifndef POSTHOUSE_WEB_COLLECT_H
#define POSTHOUSE_WEB_COLLECT_H

#include "posthouse/health.h"
#include "posthouse/role.h"

struct collected {
	bool master_answers; /* false: the rest is empty */
	struct str version;
	uint64_t generation;     /* of the configuration */
	struct health health;    /* the roles and the store */
	struct role_told master; /* its numbers */
	size_t own;              /* which of the roles is this process; SIZE_MAX: none */
};

struct collect {
	struct role *role;
	/* The answers are complete, or time is up. They live until the next collect_begin(). */
	void (*done)(void *ctx);
	/* Master has answered: is.master_answers is true, and the roles are being asked. */
	void (*alive)(void *ctx);
	/* A page of queue_summary, the first one, has come. */
	void (*summed)(void *ctx, const struct msg_queue_summed *m);
	void *ctx;
	struct collected is;

	/* private */
	struct arena arena;
	struct role_told *roles;
	struct collect_call *calls; /* open ones have a number */
	size_t calls_n, waiting;
	bool running;
	uv_timer_t deadline;
};

void collect_init(struct collect *c, struct role *r);

/* Nothing happens while one runs already. */
void collect_begin(struct collect *c);

#endif
