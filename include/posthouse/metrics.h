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

/* Is this a number of that role? */
bool metric_is_of(enum metric m, enum role_id role);

/* What `posthouse status` calls it: its word, with the label in the place of the asterisk. In the arena, or static. */
struct str metric_title(struct arena *a, enum metric m, struct str label);

#endif
