/* metrics.h - the numbers that roles tell of themselves, from metrics.def. A role tells them by role_stat() (role.h). */
#ifndef POSTHOUSE_METRICS_H
#define POSTHOUSE_METRICS_H

#include "posthouse/arena.h"
#include "posthouse/roles.h"

/* clang-format off */
enum metric {
#define METRIC(ID, ...) METRIC_##ID,
#include "posthouse/metrics.def"
	METRIC_COUNT
};
/* clang-format on */

enum metric_type { METRIC_TYPE_COUNTER, METRIC_TYPE_GAUGE, METRIC_TYPE_HISTOGRAM };
enum metric_unit {
	METRIC_UNIT_NUMBER,
	METRIC_UNIT_FLAG,
	METRIC_UNIT_BYTES,
	METRIC_UNIT_SECONDS,
	METRIC_UNIT_MS,
	METRIC_UNIT_UNIX_MS
};

/* A row. */
struct metric_facts {
	unsigned roles; /* that tell it, as bits */
	enum metric_type type;
	enum metric_unit unit;
	const char *word, *name, *labels, *help;
};
extern const struct metric_facts metric_facts[METRIC_COUNT];

/* Is this a number of that role? */
bool metric_is_of(enum metric m, enum role_id role);

/* Is the row one of the bounds or the sum of a histogram? Its first row, without a label, is enough for people. */
bool metric_is_bucket(enum metric m, struct str label);

/* Is it a number about the process, which people ask the system for? `posthouse status` shows it with --json only. */
bool metric_is_of_process(enum metric m);

/* What `posthouse status` calls it: its word, with the label in the place of the asterisk. In the arena, or static. */
struct str metric_title(struct arena *a, enum metric m, struct str label);

#endif
