/* load.h - one load: its options, its progress, and the sessions that bear it. */
#ifndef POSTHOUSE_BENCH_LOAD_H
#define POSTHOUSE_BENCH_LOAD_H

#include "bench.h"

#include "posthouse/buf.h"
#include "posthouse/net.h"

#include <stdio.h>

enum load_tls { LOAD_CLEAR, LOAD_STARTTLS, LOAD_IMPLICIT };

struct load {
	uv_loop_t loop;
	struct sockaddr_storage address;

	const char *host, *user, *password, *from, *to;
	enum load_tls tls;
	struct tls_context *context;
	bool verify;
	bool per_connection; /* a connection for each message */
	bool lock_step;      /* never pipeline */
	uint64_t hold_ms;    /* log in, stay idle this long, leave; no messages */
	uint64_t count, connections, run;
	uint64_t sources; /* connect from so many loopback addresses in turn; 0 = from whichever the system chooses */
	uint64_t domains; /* of recipients, below that of `to`; 0 = `to` is the only one */
	struct str body;
	char date[64];
	FILE *acknowledged; /* numbers that got their 250; NULL = not wanted */

	uint64_t next; /* number of the next message */
	uint64_t accepted, refused, failed, held;
	bool said_holding;
	struct buf first_refusal;
	uint64_t begun_us, ended_us;
	struct samples to_250;
	size_t sessions; /* not ended yet */
	uv_timer_t watch;
	uint64_t seen_progress;
};

/* Begin a session; it takes numbers from the load as long as there are some, reconnects when it must, and leaves. */
void session_begin(struct load *l, uint64_t number);

/* What became of a message. The text of a refusal is kept when it is the first. */
void load_accepted(struct load *l, uint64_t number, uint64_t took_us);
void load_refused(struct load *l, struct str reply);
void load_failed(struct load *l, struct str why);
void load_held(struct load *l); /* one more is in and idle */
void load_session_ended(struct load *l);

#endif
