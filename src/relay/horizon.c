/* horizon.c - see horizon.h. */
#include "horizon.h"

bool horizon_is_past(const struct horizon *h, uint64_t epoch, uint64_t now_ms)
{
	if (epoch == 0)
		return false;
	return h->epoch != epoch || now_ms >= h->boottime_ms;
}
