/* rogue.h - what the deeds of a role that was taken over are made of: messages to its peers, without any of the rules that an
 * honest role keeps. All of it blocks; deeds run in a thread of their own, beside the one that answers master. */
#ifndef ROGUE_H
#define ROGUE_H

#include "posthouse/ipc.h"

extern enum role_id rogue_role;
extern unsigned rogue_index;
extern bool rogue_is_rash; /* it does not care whether master ends it */
extern int rogue_master;   /* the channel to master */
extern char rogue_key[65]; /* the last word of the file "deed", which can be missing: a key's name in hexadecimal */

/* The channel to this role, when there is one; waits for it, and for the one after it when the last one was given up. */
int rogue_peer(enum role_id role, unsigned index);

/* Give up the channel and have master make a new one, as often as it does. */
int rogue_again(enum role_id role, unsigned index);

/* Send a message, with any descriptor (-1: none). False: the peer has closed the channel. */
bool say(int fd, enum msg_type type, uint64_t call, const void *m, int pass);
bool say_bytes(int fd, struct str bytes, int pass);
/* The same, but never wait for a peer that is slow. Also false when it takes no more now. */
bool say_now(int fd, enum msg_type type, uint64_t call, const void *m);

/* The next message of this type, others are dropped; NULL: the channel has closed, or nothing came within 10 s. Lives until the
 * next call. The descriptor that came with it is closed. */
const union ipc_message *hear(int fd, enum msg_type type);
/* The same, with the descriptor for the caller; -1: none came. */
const union ipc_message *hear_with(int fd, enum msg_type type, int *passed_out);

/* Is the channel closed? Waits up to 10 s for it. */
bool is_closed(int fd);

/* A line for the test: master shows it as a complaint of this role. */
void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct deed {
	const char *name;
	void (*run)(void);
};
extern const struct deed deeds_of_submission[], deeds_of_senders[], deeds_of_relay[], deeds_of_others[], deeds_of_all[];

#endif
