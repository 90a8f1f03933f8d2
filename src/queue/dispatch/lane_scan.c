/* lane_scan.c - see scheduler.h. */
#include "dispatch/dispatch.h"

#include "posthouse/units.h"

#define EXPIRY_SCAN_MIN_MS 1000
#define EXPIRY_SCAN_MAX_MS (10 * MINUTE_MS)

/* Blocked lanes are looked through when it is time: compared with a lifetime of days, some minutes do not matter. */
void lane_scan_begin(struct dispatch *d, uint64_t now)
{
	struct lane_scan *s = &d->scheduler.scan;

	s->blocked_until = 0;
	s->met = 0;
	s->for_expired = now >= s->expiry_scan_at && nexthops_may_expire(d);
	s->found_expired = false;
}

void lane_scan_end(struct dispatch *d, uint64_t now)
{
	struct lane_scan *s = &d->scheduler.scan;
	uint64_t interval = role_config(d->role)->queue.lifetime_ms / 100;

	s->opens_at = s->blocked_until;
	s->blocked_until = 0;
	if (interval < EXPIRY_SCAN_MIN_MS)
		interval = EXPIRY_SCAN_MIN_MS;
	if (s->for_expired)
		s->expiry_scan_at = now + (interval < EXPIRY_SCAN_MAX_MS ? interval : EXPIRY_SCAN_MAX_MS);
	s->for_expired = false;
}

bool lane_scan_has_more(struct dispatch *d, const struct due_lane *lanes, size_t n)
{
	struct lane_scan *s = &d->scheduler.scan;
	struct store_stats stats;

	if (n < d->scheduler.page || !dispatch_may_store(d))
		return false;
	for (size_t i = 0; i < n; i++)
		if (s->met > 0 && lanes[i].lane == s->first_lane)
			return false;
	if (s->met == 0)
		s->first_lane = lanes[0].lane;
	s->met += n;
	store_stats(d->store, &stats);
	return s->met <= stats.lanes + LANES_MAX; /* the first lane is perhaps not due any more */
}
