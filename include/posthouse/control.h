/* control.h - the command line's end of the control socket: synchronous, one call after another. */
#ifndef POSTHOUSE_CONTROL_H
#define POSTHOUSE_CONTROL_H

#include "posthouse/ipc.h"

struct control;

/* Connect and say hello. within_ms: the deadline for the connection and all its calls; 0: the relay has ten seconds for its
 * hello, and each answer can take as long as its call (messages.def). NULL: *why_out has the reason; errno is ENOENT or
 * ECONNREFUSED when no relay runs there, EACCES when this user is not allowed. */
struct control *control_open(struct str socket_path, uint64_t within_ms, const char **why_out);
void control_close(struct control *c);

/* Ask, and wait for the answer of type `reply`. The answer lives in the arena. False: *why_out says why. */
bool control_call(struct control *c, enum msg_type request, const void *message, enum msg_type reply, struct arena *a,
		  union ipc_message **reply_out, const char **why_out);

/* The same with a descriptor, which stays the caller's. */
bool control_call_with(struct control *c, enum msg_type request, const void *message, int fd, enum msg_type reply,
		       struct arena *a, union ipc_message **reply_out, const char **why_out);

/* Ask several things before the first answer: the number of the call, 0 when it cannot be sent; and the next answer, whatever it
 * is about: its `call` says to which question. NULL: *why_out says why there is none. */
uint64_t control_send(struct control *c, enum msg_type request, const void *message, const char **why_out);
union ipc_message *control_next(struct control *c, struct arena *a, enum msg_type *type_out, const char **why_out);

#endif
