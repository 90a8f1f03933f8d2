/* tally.h - counting in memory what monitoring wants to know by kind or by duration. Both start as { 0 } and cost a few
 * comparisons for each event. */
#ifndef POSTHOUSE_TALLY_H
#define POSTHOUSE_TALLY_H

#include "posthouse/str.h"

/* Events by label ("5.1.1", "TLSv1.3"). The first TALLY_MAX labels get a row each; the events of all others are counted together,
 * because peers choose some of the labels. */
#define TALLY_MAX       64
#define TALLY_LABEL_MAX 31 /* bytes; a longer label is cut */
struct tally {
	struct {
		char label[TALLY_LABEL_MAX + 1];
		uint64_t n;
	} of[TALLY_MAX];
	size_t n;        /* rows */
	uint64_t others; /* events without a row */
};
void tally_count(struct tally *t, struct str label);

/* Durations: how many of them are at most as long as each bound, and longer than the one before. All histograms have the same
 * bounds, from a millisecond to a day. */
#define HISTOGRAM_BOUNDS 19
extern const uint64_t histogram_bounds_ms[HISTOGRAM_BOUNDS];
struct histogram {
	uint64_t of[HISTOGRAM_BOUNDS + 1]; /* the last one: longer than all bounds */
	uint64_t n, sum_ms;
};
void histogram_count(struct histogram *h, uint64_t ms);

/* The bound that at least nine of ten durations keep; UINT64_MAX: there is none. */
uint64_t histogram_ninth_decile_ms(const struct histogram *h);

#endif
