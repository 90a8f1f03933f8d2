/* situations.c - how often the schedules came across what they must. */
#include "situations.h"

#include <stdio.h>

static long times[SITUATIONS];

static const char *const words[SITUATIONS] = {
	[TAKE_ANSWER_LOST] = "the answer to a take is lost",
	[UNKNOWN_TAKE] = "a take whose answer was lost is found and given back",
	[ACCEPT_ELSEWHERE] = "an accept is repeated on another node",
	[ACCEPT_STORED] = "a repeated accept finds that it was stored",
	[ACCEPTS_MEET] = "two nodes store one mail at the same time",
	[FREEZE_BEFORE_DOT] = "a relay freezes between check and dot",
	[HORIZON_PASSED] = "a relay does not send the dot because of the horizon",
	[HALF_ENDED] = "half a pipeline is terminated, and with it its locks",
	[BEAT_BEAT_DECLARE] = "a beat is committed just before its node is declared dead",
	[TWO_OBSERVERS] = "two nodes declare one dead",
	[LATE_COUNTS] = "a result is of a row that was given back",
	[LATE_IS_STALE] = "a result comes when its recipient was taken again, or removed",
	[LATE_AND_HELD] = "a result is of mail that was held meanwhile",
	[SAME_INSTANCE] = "an instance claims its number again and gives back",
	[NUMBER_REUSED] = "a number goes to another instance",
	[OLD_PRIMARY] = "a transaction begins on a primary that was replaced",
	[SHOWN_BY_CRASH] = "a crash makes visible what the standby does not have",
	[SLEEP_SKIPS] = "a lane is not put to sleep because somebody wakes it",
	[LANE_GONE] = "the janitor removes a lane between two statements of an accept",
	[TAKE_SKIPS] = "a take skips a row that another transaction has",
	[HELD_IN_FLIGHT] = "mail is held while it is in flight",
	[REMOVED_IN_FLIGHT] = "mail is removed while it is in flight",
	[DELIVERED_TWICE] = "a second delivery that has an explanation",
};

void met(enum situation s)
{
	times[s]++;
}

int situations_print(void)
{
	int never = 0;

	for (int s = 0; s < SITUATIONS; s++) {
		printf("%8ld times: %s%s\n", times[s], words[s], times[s] ? "" : ": THIS MUST HAPPEN");
		never += times[s] == 0;
	}
	return never;
}
