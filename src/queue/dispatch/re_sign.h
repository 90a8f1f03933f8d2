/* re_sign.h - relay had to convert a message for its next hop, so the signatures do not hold any more. It gets fresh ones from
 * vault, but only for a message that it has, and only in the name of the domain for which the message was signed before. */
#ifndef QUEUE_RE_SIGN_H
#define QUEUE_RE_SIGN_H

#include "posthouse/ipc.h"
#include "posthouse/list.h"

struct dispatch;

struct re_signs {
	struct list all; /* struct re_sign: vault is asked */
	size_t n;
};

void re_signs_init(struct dispatch *d);

/* Relay has gone, or the queue ends: give up all. */
void re_signs_cancel(struct dispatch *d);

#endif
