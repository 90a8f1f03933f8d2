/* tally.c - see tally.h. */
#include "posthouse/tally.h"

#include "posthouse/units.h"

void tally_count(struct tally *t, struct str label)
{
	label = str_head(label, TALLY_LABEL_MAX);
	for (size_t i = 0; i < t->n; i++) {
		if (str_eq(str_of(t->of[i].label), label)) {
			t->of[i].n++;
			return;
		}
	}
	if (t->n == TALLY_MAX) {
		t->others++;
		return;
	}
	memcpy(t->of[t->n].label, label.p, label.n);
	t->of[t->n++].n = 1;
}

const uint64_t histogram_bounds_ms[HISTOGRAM_BOUNDS] = { 1,       3,           5,     10,   25,    50,    100,   250,
							 500,     1000,        2500,  5000, 10000, 30000, 60000, 5 * MINUTE_MS,
							 HOUR_MS, 6 * HOUR_MS, DAY_MS };

void histogram_count(struct histogram *h, uint64_t ms)
{
	size_t i = 0;

	while (i < HISTOGRAM_BOUNDS && ms > histogram_bounds_ms[i])
		i++;
	h->of[i]++;
	h->n++;
	h->sum_ms += ms;
}

uint64_t histogram_ninth_decile_ms(const struct histogram *h)
{
	uint64_t so_far = 0;

	for (size_t i = 0; i < HISTOGRAM_BOUNDS; i++) {
		so_far += h->of[i];
		if (h->n > 0 && so_far * 10 >= h->n * 9)
			return histogram_bounds_ms[i];
	}
	return UINT64_MAX;
}
