/* control.h - the command line's end of the control socket: synchronous, one call after another. */
#ifndef POSTHOUSE_CONTROL_H
#define POSTHOUSE_CONTROL_H

#include "posthouse/ipc.h"

struct control;

/* Connect and say hello. NULL: *why_out says why, errno is ENOENT or ECONNREFUSED when no relay runs there. */
struct control *control_open(struct str socket_path, const char **why_out);
void control_close(struct control *c);

/* Ask, and wait for the answer of type `reply` (60 s at most). The answer lives in the arena. False: *why_out says why. */
bool control_call(struct control *c, enum msg_type request, const void *message, enum msg_type reply, struct arena *a,
		  union ipc_message **reply_out, const char **why_out);

#endif
