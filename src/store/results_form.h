/* results_form.h - the form of state_dir/results: results of deliveries that an engine could not store before the process ended,
 * each with the number of its take, for the next process of this node. */
#ifndef POSTHOUSE_RESULTS_FORM_H
#define POSTHOUSE_RESULTS_FORM_H

#include "posthouse/buf.h"
#include "posthouse/store.h"

#define RESULTS_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct kept_results {
	struct outcome *outcomes;
	size_t n;
};

/* The beginning of the file, and one result more; false, and nothing was added, when the buffer has no room. */
bool results_begin(struct buf *b);
bool results_add(struct buf *b, const struct outcome *o);

/* All results of a file; their texts point into it, and the rest is in the arena. False: it is damaged. */
bool results_read(struct arena *a, struct str file, struct kept_results *out);

#endif
