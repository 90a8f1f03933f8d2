/* backoff.c - how long to wait. */
#include "dispatch/backoff.h"

#include "posthouse/units.h"

#define GREYLIST_MAX_MS (5 * MINUTE_MS) /* what greylisting asks for by default is between 1 and 5 minutes */
#define MX_PAUSE_MAX_MS (30 * MINUTE_MS)

/* The configured interval, give or take a tenth. */
static uint64_t scheduled_at(const struct cfg_queue *c, uint64_t attempts, uint64_t now, uint64_t expires_at, uint64_t random)
{
	uint64_t delay = c->retry_ms[attempts < c->retry_n ? attempts : c->retry_n - 1];
	uint64_t tenth = delay / 10;
	uint64_t at = now + delay - tenth + random % (2 * tenth + 1);

	return now < expires_at && at > expires_at ? expires_at : at;
}

/* No retry is longer than the longest of the schedule, whatever a next hop asks for. */
static uint64_t bounded(const struct cfg_queue *c, uint64_t pause)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < c->retry_n; i++)
		if (c->retry_ms[i] > longest)
			longest = c->retry_ms[i];
	return pause < longest ? pause : longest;
}

static uint64_t not_before(uint64_t pause, uint64_t now, uint64_t expires_at, uint64_t random)
{
	uint64_t at = now + pause + random % (pause / 10 + 1);

	return now < expires_at && at > expires_at ? expires_at : at;
}

uint64_t greylist_at(const struct cfg_queue *c, uint64_t pause_ms, uint64_t now, uint64_t expires_at, uint64_t random)
{
	uint64_t first = c->retry_ms[0] < GREYLIST_MAX_MS ? c->retry_ms[0] : GREYLIST_MAX_MS;

	return not_before(pause_ms > 0 ? bounded(c, pause_ms) : first, now, expires_at, random);
}

uint64_t retry_at(const struct cfg_queue *c, uint64_t pause_ms, uint64_t attempts, uint64_t now, uint64_t expires_at,
		  uint64_t random)
{
	uint64_t by_schedule = scheduled_at(c, attempts, now, expires_at, random);
	uint64_t by_words = pause_ms > 0 ? not_before(bounded(c, pause_ms), now, expires_at, random) : 0;

	return by_words > by_schedule ? by_words : by_schedule;
}

/* ---- pauses of next hops ---- */

static uint64_t doubled(uint64_t first, uint64_t failures, uint64_t most)
{
	uint64_t pause = first;

	for (uint64_t i = 1; i < failures && pause < most; i++)
		pause *= 2;
	return pause < most ? pause : most;
}

/* Up to the next of these bounds: what is over in seconds does not take an hour because it comes again. */
uint64_t pause_grown(uint64_t first, uint64_t failures)
{
	if (first == 0)
		first = HOUR_MS;
	return doubled(first, failures, first < MINUTE_MS ? MINUTE_MS : first < HOUR_MS ? HOUR_MS : PAUSE_LONGEST_MS);
}

uint64_t pause_after(const struct cfg_queue *c, bool is_mx, enum nexthop_fault fault, uint64_t pause_ms, uint64_t failures)
{
	uint64_t at;

	if (pause_ms > 0)
		return pause_grown(pause_ms, failures);
	if (fault == FAULT_POLICY)
		return doubled(5 * MINUTE_MS, failures, PAUSE_LONGEST_MS);
	if (!is_mx)
		return doubled(5 * SECOND_MS, failures, 5 * MINUTE_MS);
	/* As often as a single message would try; a tenth less, so that one whose time has come does not meet a pause. */
	at = c->retry_ms[failures <= c->retry_n ? failures - 1 : c->retry_n - 1];
	return (at < MX_PAUSE_MAX_MS ? at : MX_PAUSE_MAX_MS) / 10 * 9;
}
