/* allowance.c - see master.h. */
#include "master.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#define AT_ONCE 60

bool allowance_take(struct allowance *a)
{
	uint64_t passed = (clock_mono_ms() - a->at) / SECOND_MS;

	a->used -= passed < a->used ? passed : a->used;
	a->at += passed * SECOND_MS;
	if (a->used >= AT_ONCE)
		return false;
	a->used++;
	return true;
}
