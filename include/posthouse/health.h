/* health.h - is the relay well, and would it take mail? Judged from what its roles say of themselves: for the pages of web and
 * for `posthouse status` and `posthouse health`. */
#ifndef POSTHOUSE_HEALTH_H
#define POSTHOUSE_HEALTH_H

#include "posthouse/ipc.h"

/* One process of a role. */
struct role_told {
	struct rec_role_state state;  /* as master says */
	bool answers;                 /* it has told its numbers */
	const struct rec_stat *stats; /* its numbers */
	size_t stats_n;
};

struct health {
	const struct role_told *roles; /* all that the configuration needs */
	size_t n;
	bool store_answers; /* queue has answered with data of its store: the process can answer while its disk hangs */
};

/* What is wrong: parts that do not work, and what keeps mail from being taken; each is a sentence without its full stop, in the
 * arena. The number of them, at most HEALTH_FAULTS_MAX. */
#define HEALTH_FAULTS_MAX 80
size_t health_faults(struct arena *a, const struct health *h, struct str faults_out[HEALTH_FAULTS_MAX]);

/* The same, but only what keeps this relay from taking mail and delivering it: no fault means ready. */
size_t health_obstacles(struct arena *a, const struct health *h, struct str faults_out[HEALTH_FAULTS_MAX]);

#endif
