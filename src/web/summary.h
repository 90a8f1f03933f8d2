/* summary.h - what waits in the queue, by destination and age. queue tells it in pages, the oldest messages first; a walk through
 * them takes its time, so that mail does not wait for it, and ends after a bounded number of pages. */
#ifndef POSTHOUSE_WEB_SUMMARY_H
#define POSTHOUSE_WEB_SUMMARY_H

#include "posthouse/hashtable.h"
#include "posthouse/role.h"
#include "posthouse/store.h"

#define SUMMARY_SHOWN 20 /* destinations that are told by name */

/* The result of a walk. */
struct summed {
	struct {
		char name[256];
		uint64_t recipients;
	} of[SUMMARY_SHOWN];
	size_t n;
	uint64_t others; /* recipients of all other destinations */
	uint64_t ages[SUMMARY_AGES];
	uint64_t oldest_at; /* ms UTC; 0: nothing waits */
	bool whole;         /* the walk has seen all messages */
};

struct summary {
	struct role *role;
	struct summed shown; /* of the last complete walk */
	uint64_t shown_mono; /* when it ended; 0: there was none */

	/* the walk */
	bool walking;
	struct arena arena;
	struct hashtable by_name; /* struct destination */
	struct summed sum;        /* all but the destinations */
	size_t destinations_n, pages;
	uint64_t cursor, call;
	uv_timer_t pause;
};

void summary_init(struct summary *s, struct role *r);

/* The first page, which collect asks for each time: it is all in a short queue, and begins a walk in a long one, where the last
 * walk is a minute old. */
void summary_first_page(struct summary *s, const struct msg_queue_summed *m);

void summary_stats(const struct summary *s);
void summary_stop(struct summary *s);

#endif
