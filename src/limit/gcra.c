/* gcra.c - the generic cell rate algorithm (ITU-T I.371, virtual scheduling) on one number: the time at which the bucket will be
 * empty again. Each unit moves it on by window / amount; a bucket is full when it is a whole window ahead. */
#include "posthouse/limit.h"

#include "posthouse/clock.h"

static uint64_t window_us(struct rate r)
{
	return r.window_ms * 1000;
}

/* In one piece, so that nothing is lost by rounding; a single unit costs at least 1 us. */
uint64_t gcra_cost_us(struct rate r, uint64_t amount)
{
	unsigned __int128 cost;

	if (amount == 0)
		return 0;
	if (amount >= r.amount)
		return window_us(r);
	cost = (unsigned __int128)amount * window_us(r) / r.amount;
	return cost > 0 ? (uint64_t)cost : 1;
}

/* How far ahead of now the bucket is. It cannot be more than full: what is further ahead was written before the clock was set
 * back. */
static uint64_t ahead_us(uint64_t tat_us, struct rate r, uint64_t now_us)
{
	uint64_t at = clock_mended(tat_us, now_us, window_us(r));

	return at > now_us ? at - now_us : 0;
}

uint64_t gcra_wait_us(uint64_t tat_us, struct rate r, uint64_t amount, uint64_t now_us)
{
	uint64_t after;

	if (amount > r.amount)
		return UINT64_MAX;
	after = ahead_us(tat_us, r, now_us) + gcra_cost_us(r, amount);
	return after > window_us(r) ? after - window_us(r) : 0;
}

uint64_t gcra_take(uint64_t tat_us, struct rate r, uint64_t amount, uint64_t now_us)
{
	uint64_t after = ahead_us(tat_us, r, now_us) + gcra_cost_us(r, amount);

	return now_us + (after < window_us(r) ? after : window_us(r));
}

uint64_t gcra_return(uint64_t tat_us, struct rate r, uint64_t amount, uint64_t now_us)
{
	uint64_t ahead = ahead_us(tat_us, r, now_us), cost = gcra_cost_us(r, amount);

	return now_us + (ahead > cost ? ahead - cost : 0);
}

uint64_t gcra_used(uint64_t tat_us, struct rate r, uint64_t now_us)
{
	unsigned __int128 units = (unsigned __int128)ahead_us(tat_us, r, now_us) * r.amount;
	uint64_t window = window_us(r);

	if (window == 0)
		return 0;
	return (uint64_t)((units + window - 1) / window); /* one that is half back is still used */
}
