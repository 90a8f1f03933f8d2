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
#include "posthouse/metrics.h"

struct role;

struct role_ops {
	enum role_id id;

	/* Once, after the first configuration was decoded: start libraries, open what must be open. OK or why not; what takes longer calls
	 * role_start_later() and then, at its end, role_started(). */
	struct verdict (*start)(struct role *r);

	/* Phase 1: could `c` be used? Keep what was prepared, but go on with the old one. May be NULL. OK or why not. */
	struct verdict (*configure)(struct role *r, const struct config *c);

	/* Phase 2: role_config(r) is the new one from now on; the old one is freed after this returns. May be NULL. */
	void (*apply)(struct role *r);

	/* Phase 2 in the other case: drop what `configure` prepared. May be NULL. */
	void (*abandon)(struct role *r);

	/* role_peer(r, peer, index) has a fresh channel, to a fresh process when it had one before; or it has gone. May be NULL. */
	void (*peer_up)(struct role *r, struct channel *ch);
	void (*peer_down)(struct role *r, struct channel *ch);

	/* A listening socket that is now yours. */
	void (*listener)(struct role *r, unsigned listen, int fd);

	/* Begin to drain, which has grace_ms; role_stopped() ends it early. NULL: nothing to drain. */
	void (*stop)(struct role *r, uint64_t grace_ms);

	/* The role stops, and nothing is busy: see role_busy(). End what is left, then call role_stopped(). NULL: nothing is left. */
	void (*idle)(struct role *r);

	/* Tell the numbers for `stats`: call role_stat() for each. May be NULL. */
	void (*stats)(struct role *r);

	/* Messages of the role's peers (not of master: the frame takes those, but for what is in here and not in the frame). */
	const struct ipc_handlers *handlers;
};

/* Run the role: never returns before the role has stopped; the value is for exit(). */
int role_main(int argc, char **argv, const struct role_ops *ops);

/* What the role's functions ask of the frame. All handlers get `struct role *` as their ctx. */
uv_loop_t *role_loop(struct role *r);
const struct config *role_config(struct role *r);
unsigned role_index(struct role *r);
uint64_t role_incarnation(struct role *r);
bool role_stopping(struct role *r);
struct channel *role_peer(struct role *r, enum role_id peer, unsigned index); /* NULL: away */
void role_stopped(struct role *r);                                            /* once; more calls have no effect */

/* Something that a stopping role waits for has begun (+1) or has ended (-1): a session, a delivery. ops->idle comes from the loop. */
void role_busy(struct role *r, int change);
void role_start_later(struct role *r); /* within ops->start: master hears each second that we are at it */
void role_started(struct role *r, struct verdict v);

/* Within ops->stats: one number of the role, a row of metrics.def. `label` is "" where the row has none; `text` says more to people, or is "".
 * Both are copied. */
void role_stat_of(struct role *r, enum metric metric, struct str label, uint64_t value, struct str text);
static inline void role_stat(struct role *r, enum metric metric, uint64_t value)
{
	role_stat_of(r, metric, S(""), value, S(""));
}

/* The role's own state, set by ops->start; NULL when it has ended. Without it, and until the role has started, a message of a peer closes the
 * peer's channel: handlers always find the role's state. */
void role_set_data(struct role *r, void *data);
void *role_data(struct role *r);

#endif
