/* proof.h - what the kernel says about a descriptor that another role has passed: nothing is believed of that role. */
#ifndef POSTHOUSE_LOGIN_PROOF_H
#define POSTHOUSE_LOGIN_PROOF_H

#include "posthouse/arena.h"

/* The address at the other end of a TCP connection, as stream_peer_address() has it, in `a`; "": it is none. */
struct str proof_address(struct arena *a, int fd);

/* The user at the other end of a connection that was accepted at the Unix socket of this path. False: it is another thing, for
 * example one end of a pair, whose user would be the one who made it: master, which is perhaps root. */
bool proof_user(int fd, struct str path, uint64_t *uid_out);

/* The owner of a file of the drop directory: with the mark of its owner, one link, and the beginning that such a file has; with
 * `any` of every file. False: it is another thing. */
bool proof_owner(int fd, bool any, uint64_t *uid_out);

#endif
