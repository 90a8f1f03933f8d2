/* submission.h - the submission role: what its sessions and transactions share. */
#ifndef POSTHOUSE_SUBMISSION_H
#define POSTHOUSE_SUBMISSION_H

#include "posthouse/id.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/net.h"
#include "posthouse/role.h"
#include "posthouse/smtp_server.h"

/* What a session is begun with, made of one configuration. A reload makes another; sessions keep the one they began with, and the last
 * of them frees it. */
struct policy {
	unsigned refs;
	struct arena arena;
	struct smtp_server_config smtp;
	struct tls_context *tls;
	uint64_t idle_ms, login_delay_ms, sessions;
};

/* A listening socket. It may come before the configuration: then it is served later. */
struct door {
	struct list link;
	struct submission *sub;
	unsigned listen; /* index into config->listen */
	int fd;          /* -1: the listener has it */
	struct listener *listener;
	uint64_t sessions;
};

struct submission {
	struct role *role;
	uv_loop_t *loop;
	struct policy *policy, *next;
	struct list doors, sessions, transactions;
	size_t orphans;      /* transactions whose client has left after its final dot */
	struct list waiting; /* transactions with a deadline, looked at by `sweep` */
	uv_timer_t sweep, stopping;
	uint64_t stop_at; /* monotonic ms: grace is over; 0 = no stop */
	bool stopped;

	struct id_source ids;
	uint64_t next_session, next_transaction;
	uint64_t queue_generation, login_generation; /* count the processes that we have met */

	uint64_t sessions_n, sessions_total, accepted, refused, logins, logins_failed;
};

void policy_unref(struct policy *p);

/* A session or transaction has ended: perhaps it was the last one that a stop waits for. */
void submission_check_stopped(struct submission *sub);

#endif
