/* re_sign.h - relay had to convert a message for its next hop, so our signatures do not hold any more: fresh ones from vault, for what
 * relay has in hand and in the message's own name only. */
#ifndef QUEUE_RE_SIGN_H
#define QUEUE_RE_SIGN_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct dispatch;

struct resigns {
	struct list all; /* calls that vault works on */
	size_t n;
};

void resigns_init(struct dispatch *d);

/* Nobody waits for them any more. */
void resigns_cancel(struct dispatch *d);

#endif
