/* figures.h - the answer to `stats`, gathered row by row. The answer is one datagram, so its size has a bound. */
#ifndef POSTHOUSE_ROLE_FIGURES_H
#define POSTHOUSE_ROLE_FIGURES_H

#include "posthouse/ipc.h"
#include "posthouse/metrics.h"

struct figures {
	struct arena arena;
	struct rec_stat *rows;
	size_t n, capacity, bytes;
	uint64_t omitted; /* rows beyond the bound: the answer says how many */
};

void figures_add(struct figures *f, enum metric metric, struct str label, uint64_t value, struct str text);

/* Answer with the rows, and begin with none again. */
void figures_send(struct figures *f, struct channel *ch, uint64_t call);

#endif
