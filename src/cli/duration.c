/* duration.c - reads times that are given as options. */
#include "cli.h"

#include "posthouse/units.h"

bool read_duration(struct str text, uint64_t max_ms, uint64_t *ms_out)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = { { 's', 1000 }, { 'm', MINUTE_MS }, { 'h', HOUR_MS }, { 'd', DAY_MS }, { 'w', 7 * DAY_MS } };
	uint64_t n;

	if (text.n == 0 || !str_to_u64(str_head(text, text.n - 1), &n))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (text.p[text.n - 1] == units[i].unit && n <= max_ms / units[i].ms) {
			*ms_out = n * units[i].ms;
			return true;
		}
	return false;
}
