/* submission.h - the submission role: what its sessions and transactions share. */
#ifndef POSTHOUSE_SUBMISSION_H
#define POSTHOUSE_SUBMISSION_H

#include "policy.h"

#include "posthouse/id.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

/* A listening socket. It can come before the configuration: then it is served later. */
struct door {
	struct list link;
	struct submission *sub;
	unsigned listen; /* index into config->listen */
	int fd;          /* -1: the listener has it */
	struct listener *listener;
	uint64_t sessions;
};

/* fair_share.c: who goes on in the next round of the loop. */
struct fair_share {
	uv_idle_t round;
	struct list waiting; /* sessions that have had their share of this round */
	struct list costly;  /* sessions with a handshake or a flood of input before them */
};

/* refusals.c: clients who were not served, one line of the log for many of them. */
#define REFUSALS_MAX 16
struct refusals {
	uv_timer_t minute;
	struct {
		char client[64];
		uint64_t more; /* since the line about the first of them */
	} of[REFUSALS_MAX];
	size_t n;
	uint64_t others; /* clients for which the table has no row */
};

struct session;
struct submission;

/* What the parts below tell those above them. submission.c, which knows all of them, fills this in. */
struct submission_ops {
	/* session.c and what is above it */
	void (*advance)(struct session *s); /* its machine can have events */
	void (*timeout)(struct session *s); /* the time of its state is over */
	/* transaction.c, transaction_text.c */
	void (*answer)(struct session *s, struct verdict v); /* to its message, which ends */
	void (*room)(struct session *s);                     /* in the spool, again */
	/* fair_share.c */
	void (*turn)(struct session *s);
	void (*costly_turn)(struct session *s);
};

struct submission {
	const struct submission_ops *ops;
	struct role *role;
	uv_loop_t *loop;
	struct policy *policy, *next;
	struct list doors, sessions, transactions;
	struct door *pickup_door; /* NULL: pickup has brought nobody so far */
	struct fair_share fair_share;
	struct refusals refusals;
	size_t orphans;      /* transactions whose client has left after its final dot */
	struct list waiting; /* transactions with a deadline, looked at by `sweep` */
	uv_timer_t sweep, stopping;
	uint64_t stop_at; /* monotonic ms: grace is over; 0 = no stop */

	struct id_source ids;
	enum node_state node_state; /* of a cluster; else NODE_UP */
	uint64_t next_session, next_transaction;
	uint64_t queue_generation, login_generation; /* count the processes that have connected; 0 = none so far */

	uint64_t refused_n; /* of the sessions: banned clients that are to hear so */
	struct tally refusals_by_code, tls_versions;
	struct histogram accept_time; /* from the end of the text to 250 */
	uint64_t accepted_bytes;
	uint64_t sessions_n, sessions_total, sessions_from_gateway, sessions_refused, accepted, refused, logins, logins_failed;
};

/* The channel to queue; NULL: it is away. */
static inline struct channel *submission_queue(const struct submission *sub)
{
	return role_peer(sub->role, ROLE_QUEUE, 0);
}

/* ---- refusals.c ---- */
void refusals_init(struct submission *sub);

/* A client was not served. The first of an address in a minute is logged at once, the others are counted. */
void refusals_note(struct submission *sub, struct str client, struct str reason);

#endif
