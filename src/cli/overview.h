/* overview.h - what the roles of the running relay say of themselves, asked over the control socket: for `posthouse status` and
 * `posthouse health`. */
#ifndef POSTHOUSE_CLI_OVERVIEW_H
#define POSTHOUSE_CLI_OVERVIEW_H

#include "cli.h"

#include "posthouse/health.h"

#define OVERVIEW_MS 1500 /* for the whole command: a monitor that uses it waits 2 s */

struct overview {
	const struct msg_status_is *relay;
	struct health health;
	struct role_told *roles; /* of health, in the order of `relay` */
	uint64_t *calls, page_call;
	uint64_t oldest_at; /* when the oldest message in the queue arrived, ms UTC; 0: the queue is empty */
};

/* In the session's arena. A role that does not answer is a fault to tell: these commands must work when other parts do not. */
void overview_look(struct session *s, struct overview *o);

#endif
