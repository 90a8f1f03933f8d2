/* steady.c - see steady.h. */
#include "steady.h"

#include "posthouse/units.h"

#define JUMP_MS    (10 * MINUTE_MS)
#define BELIEVE_MS DAY_MS
#define CALM_MS    HOUR_MS

static void take(struct steady *s, uint64_t wall, uint64_t mono)
{
	s->now = wall;
	s->mono = mono;
	s->ahead_mono = 0;
}

uint64_t steady_now(struct steady *s, uint64_t wall, uint64_t mono)
{
	uint64_t expected = s->now + (mono - s->mono);

	if (!s->set) {
		s->set = true;
		s->calm_mono = mono;
		take(s, wall, mono);
	} else if (wall <= expected + JUMP_MS) {
		if (wall + JUMP_MS < expected || s->ahead_mono)
			s->calm_mono = mono;
		take(s, wall, mono);
	} else if (!s->ahead_mono) {
		s->ahead_mono = mono > 0 ? mono : 1;
	} else if (mono - s->ahead_mono >= BELIEVE_MS) {
		s->calm_mono = mono;
		take(s, wall, mono);
	}
	return s->now + (mono - s->mono);
}

bool steady_is_calm(const struct steady *s, uint64_t mono)
{
	return s->set && !s->ahead_mono && mono - s->calm_mono >= CALM_MS;
}
