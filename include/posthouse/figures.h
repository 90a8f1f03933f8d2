/* figures.h - the answer to `stats`, gathered row by row. The answer is one datagram, so its size has a bound. Roles tell their
 * numbers by role_stat() (role.h), which ends here; master has no frame and adds its own. */
#ifndef POSTHOUSE_FIGURES_H
#define POSTHOUSE_FIGURES_H

#include "posthouse/ipc.h"
#include "posthouse/metrics.h"
#include "posthouse/tally.h"

/* Starts as { 0 }. */
struct figures {
	struct arena arena;
	struct rec_stat *rows; /* views of the arena */
	size_t n, capacity, bytes;
	uint64_t omitted; /* rows beyond the bound: the answer says how many */
};

void figures_add(struct figures *f, enum metric metric, struct str label, uint64_t value, struct str text);

/* A row for each label; those beyond the table are "other". */
void figures_tally(struct figures *f, enum metric metric, const struct tally *t);

/* The first row has no label: the number of durations, with words about them. Then come a row for each bound, whose label is the
 * bound in seconds ("0.05", "+Inf") and whose value is the number of durations up to there, and the sum in ms, labelled "sum". */
void figures_histogram(struct figures *f, enum metric metric, const struct histogram *h);

/* Open what figures_process() reads, while files can be opened. */
void figures_begin(void);

/* Memory, processor time and descriptors of this process, which started at this time. */
void figures_process(struct figures *f, uint64_t started_at);

/* Answer with the rows, and begin with none again. */
void figures_send(struct figures *f, struct channel *ch, uint64_t call);
void figures_fini(struct figures *f);

#endif
