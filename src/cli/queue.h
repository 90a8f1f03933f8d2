/* queue.h - what the parts of `posthouse queue` share. */
#ifndef POSTHOUSE_CLI_QUEUE_H
#define POSTHOUSE_CLI_QUEUE_H

#include "cli.h"

/* Which messages: an empty or zero field is any. */
struct selection {
	struct message_name named;
	uint64_t older_than_ms;
	struct str user, sender, recipient, destination;
	bool any; /* some field is set */
};

/* ---- queue_list.c: the value is the exit code ---- */
int queue_list(struct session *s, const struct selection *which, bool json);
int queue_show(struct session *s, const struct message_name *which, bool json);

#endif
