/* situations.h - what the schedules must come across: two things that meet. One that never happens in a run of the whole rules
 * fails the test, since nothing was learned about it then. The words are in situations.c. */
#ifndef SIMULATION_SITUATIONS_H
#define SIMULATION_SITUATIONS_H

enum situation {
	TAKE_ANSWER_LOST,
	UNKNOWN_TAKE,
	ACCEPT_ELSEWHERE,
	ACCEPT_STORED,
	ACCEPTS_MEET,
	FREEZE_BEFORE_DOT,
	HORIZON_PASSED,
	HALF_ENDED,
	BEAT_BEAT_DECLARE,
	TWO_OBSERVERS,
	LATE_COUNTS,
	LATE_IS_STALE,
	LATE_AND_HELD,
	SAME_INSTANCE,
	NUMBER_REUSED,
	OLD_PRIMARY,
	SHOWN_BY_CRASH,
	SLEEP_SKIPS,
	LANE_GONE,
	TAKE_SKIPS,
	HELD_IN_FLIGHT,
	REMOVED_IN_FLIGHT,
	DELIVERED_TWICE,
	SITUATIONS
};

void met(enum situation s);
int situations_print(void); /* how many never happened */

#endif
