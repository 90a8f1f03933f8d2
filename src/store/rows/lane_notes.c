/* lane_notes.c - the domain that names a lane, and lists of lanes that are to be refreshed. */
#include "rows.h"

struct str lane_domain(struct arena *a, struct str address)
{
	size_t at = str_rfind(address, '@');

	return arena_lower(a, at < address.n ? str_from(address, at + 1) : address);
}

void lanes_note(uint64_t *lanes, size_t *lanes_n, uint64_t lane)
{
	for (size_t i = 0; i < *lanes_n; i++)
		if (lanes[i] == lane)
			return;
	if (lane)
		lanes[(*lanes_n)++] = lane;
}
