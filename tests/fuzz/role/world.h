/* world.h - a role with its real frame within the fuzzer's process. The fuzzer plays master, the role's peers and those outside,
 * and runs the loop. The program is linked with --wrap for what must not happen here: see world.c. */
#ifndef POSTHOUSE_FUZZ_WORLD_H
#define POSTHOUSE_FUZZ_WORLD_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"

/* What differs between the roles: each target has one. */
struct role_case {
	enum role_id role;
	bool has_outside;                   /* connections from or to strangers */
	unsigned patience_ms;               /* how long a thread of the role can take for an answer */
	bool still;                         /* no time passes: a thread that works would seem to hang */
	bool only_outside;                  /* the peers say nothing by themselves: they answer well, so that strangers get far */
	void (*heard)(const char *message); /* what the role has said to a peer: a property can forbid it now. Can be NULL */
	unsigned also;                      /* bits of peers that are there from the beginning like those that the role calls */
	const char *prelude;                /* a plan that comes first in some inputs. Can be NULL */
	const char *goal;                   /* what the role then answers with OK: checked once, before all inputs */
	void (*damage)(struct str bytes);   /* for ACT_DAMAGE; and when the input is over. NULL: there is no database */
	void (*mend)(void);
};
extern const struct role_case role_case;

/* Start the role, once; it is ready when this returns. Nothing of it is ever ended. */
void world_begin(void);
enum role_id world_role(void);
bool world_has_outside(void);
const char *world_path(const char *name); /* of a file in the directory of this world; valid until the next call */
int world_drop(void);                     /* -1, or an end of a stream whose other end is an outside connection */
const char *world_key(void);              /* the certificate's and its chain, PEM */
const char *world_chain(void);

/* Run the loop until nothing happens any more. `wait`: also for answers of the role's threads. */
void world_turn(bool wait);
void world_pass(uint64_t ms); /* the clocks go on */

/* ---- peers.c: channels, as the other ends see them. Number 0 is master. ---- */
void peers_begin(void); /* find out which there are */
void peers_master(int fd);
unsigned world_peers_n(void);
enum role_id world_peer_role(unsigned peer);
void peers_open(void); /* those that the role calls; others when they first say something */
void peers_close(unsigned peer);
void peers_end(void);
void peers_answer(bool answer);          /* calls of the role get good replies at once */
bool peers_hear(void);                   /* read what the role has sent; false: nothing */
bool peers_wait_for_role(void);          /* the role has not answered all calls */
uint64_t peers_client_incarnation(void); /* of the first submission process: what login says to queue of its sessions */
void peers_say(unsigned peer, struct str datagram, int fd);
void peers_say_type(unsigned peer, enum msg_type type, uint64_t call, const void *message, int fd);
extern unsigned master_configured, master_ready; /* what master has heard */
extern unsigned goals;                           /* how often the goal was reached */

/* ---- outside.c: connections of strangers to the role, or of the role to strangers ---- */
unsigned outside_port(void); /* where upstreams listen */
void outside_begin(void);
void outside_door(int fd);      /* clients can connect to this listening socket */
int outside_pair(void);         /* a connected stream: the other end of the returned descriptor is a connection */
void outside_serve(bool serve); /* servers answer by themselves */
void outside_act(unsigned who, unsigned what, struct str bytes);
bool outside_hear(void);
void outside_end(void);
bool outside_is_secret(void); /* does a client talk by TLS now? */

/* ---- damage.c: of a program with a database ---- */
void damage_act(struct str bytes);
void damage_end(void);

#endif
