/* role.h - what every role's executable has in common: the channel to master, hello, ping, configuration in two phases,
 * new peers, confinement, drain and exit. A role fills in struct role_ops and calls role_main().
 *
 * Order of a start: drop privileges, hello, first configuration (ops->configure, then ops->start), confine, ops->apply,
 * ready; peers and listeners come before or after that, at any time, and again whenever a peer was restarted. */
#ifndef POSTHOUSE_ROLE_H
#define POSTHOUSE_ROLE_H

#include "posthouse/busy.h"
#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/figures.h"

struct role;

struct role_ops {
	enum role_id id;

	/* Called once, with the first configuration: start libraries, open files. Returns OK or the reason of the failure. A
	 * start that takes longer calls role_start_later(), and role_started() when it is complete. */
	struct verdict (*start)(struct role *r);

	/* Phase 1: can the role use `c`? It prepares what it needs, and continues with the old configuration. OK or the reason.
	 * NULL: always. */
	struct verdict (*configure)(struct role *r, const struct config *c);

	/* Phase 2: role_config(r) is the new configuration; the old one is freed when this function has returned. Can be NULL. */
	void (*apply)(struct role *r);

	/* Another role has refused the configuration: drop what `configure` has prepared. Can be NULL. */
	void (*abandon)(struct role *r);

	/* A peer has a new channel (when it had one before: to a new process), or its channel has closed. Can be NULL. */
	void (*peer_up)(struct role *r, struct channel *ch);
	void (*peer_down)(struct role *r, struct channel *ch);

	/* A listening socket, which the role owns from now on. */
	void (*listener)(struct role *r, unsigned listen, int fd);

	/* Begin to drain, which has grace_ms; role_stopped() ends it early. NULL: nothing to drain. */
	void (*stop)(struct role *r, uint64_t grace_ms);

	/* The role stops, and nothing is busy: see role_busy(). End what is left, then call role_stopped(). NULL: nothing is
	 * left. */
	void (*idle)(struct role *r);

	/* Call role_stat() for each number of the role. Can be NULL. */
	void (*stats)(struct role *r);

	/* Handlers for messages of peers, and for those of master that the frame does not handle itself. */
	const struct ipc_handlers *handlers;
};

/* Run the role until it has stopped. The value is for exit(). */
int role_main(int argc, char **argv, const struct role_ops *ops);

/* The functions of the frame for the role. All handlers get `struct role *` as their ctx. */
uv_loop_t *role_loop(struct role *r);
const struct config *role_config(struct role *r);
unsigned role_index(struct role *r);
uint64_t role_incarnation(struct role *r);
bool role_stopping(struct role *r);
enum { ROLE_PEERS_MAX = 64 };                                                 /* processes of one role */
struct channel *role_peer(struct role *r, enum role_id peer, unsigned index); /* NULL: there is no channel to it */
void role_stopped(struct role *r);                                            /* once; more calls have no effect */

/* Something that a stopping role waits for has begun (+1) or has ended (-1): a session, a delivery. ops->idle comes from the
 * loop. */
void role_busy(struct role *r, int change);
void role_start_later(struct role *r); /* within ops->start: the frame tells master each second that the role still starts */
void role_started(struct role *r, struct verdict v);

/* Within ops->stats: one number of the role, a row of metrics.def. `label` is "" where the row has none; `text` says more to
 * people, or is "". Both are copied. */
void role_stat_of(struct role *r, enum metric metric, struct str label, uint64_t value, struct str text);
static inline void role_stat(struct role *r, enum metric metric, uint64_t value)
{
	role_stat_of(r, metric, S(""), value, S(""));
}

/* The same for all rows of a tally or a histogram. */
void role_tally(struct role *r, enum metric metric, const struct tally *t);
void role_histogram(struct role *r, enum metric metric, const struct histogram *h);

/* All numbers of this role as they are now; they live until the next call or the next answer to `stats`. */
struct figures *role_figures(struct role *r);

/* The role's own state, set by ops->start; NULL when it has ended. Without it, and until the role has started, a message of a
 * peer closes the peer's channel: handlers always find the role's state. */
void role_set_data(struct role *r, void *data);
void *role_data(struct role *r);

#endif
