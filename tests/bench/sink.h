/* sink.h - the next hop of a bench: takes every message and counts. */
#ifndef POSTHOUSE_BENCH_SINK_H
#define POSTHOUSE_BENCH_SINK_H

#include "bench.h"

#include "posthouse/list.h"
#include "posthouse/net.h"

#include <stdio.h>

struct sink {
	uv_loop_t loop;
	struct list sessions;
	struct listener *listeners[2];
	size_t listeners_n;
	struct tls_context *context; /* NULL: STARTTLS is not offered */
	bool implicit;
	uint64_t delay_ms;          /* before each answer to a final dot */
	uint64_t tempfail, drop;    /* answer the first tries of each message with 451; the next, hang up instead of answering */
	uint64_t expect, settle_ms; /* end when so many have arrived, and this much later (for duplicates) */

	uint8_t *times, *tries; /* by number; capped at 255 */
	size_t numbers;         /* their size */
	uint64_t arrived, unique, duplicates, unnumbered, foreign, tempfailed, dropped, connections, commands_wrong;
	uint64_t run;
	uint64_t first_sent_us, last_arrived_us;
	struct samples to_arrival;
	FILE *list; /* of numbers as they arrive; NULL = not wanted */
	bool enough;
	uv_timer_t settle;
	uv_signal_t term, interrupt;
};

enum sink_answer { SINK_TAKE, SINK_TEMPFAIL, SINK_DROP };

/* A message is complete: what to do with it. Taken messages are counted here, at this moment. */
enum sink_answer sink_judge(struct sink *k, struct str message);

/* A connection has come. */
void sink_session_begin(struct sink *k, int fd);

/* End all connections, at once. */
void sink_sessions_close(struct sink *k);

#endif
