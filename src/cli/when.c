/* when.c - reads points in time that are given as options. */
#include "cli.h"
#include "find.h"

#include "posthouse/units.h"

#include <time.h>

#define AGE_MAX_MS (36500 * DAY_MS)

/* Take exactly `digits` digits off the front, and the character behind them unless it is 0. */
static bool take(struct str *text, size_t digits, char after, int *value_out)
{
	uint64_t n;

	if (text->n < digits + (after != 0) || !str_to_u64(str_head(*text, digits), &n) || (after && text->p[digits] != after))
		return false;
	*value_out = (int)n;
	*text = str_from(*text, digits + (after != 0));
	return true;
}

/* "14:02" and "14:02:11", up to the end of the text. */
static bool take_time(struct str *text, struct tm *tm)
{
	if (!take(text, 2, ':', &tm->tm_hour) || !take(text, 2, 0, &tm->tm_min))
		return false;
	if (text->n > 0 && text->p[0] == ':') {
		*text = str_from(*text, 1);
		if (!take(text, 2, 0, &tm->tm_sec))
			return false;
	}
	return text->n == 0 && tm->tm_hour < 24 && tm->tm_min < 60 && tm->tm_sec < 61;
}

static bool take_date(struct str *text, struct tm *tm)
{
	if (!take(text, 4, '-', &tm->tm_year) || !take(text, 2, '-', &tm->tm_mon) || !take(text, 2, 0, &tm->tm_mday))
		return false;
	if (tm->tm_mon < 1 || tm->tm_mon > 12 || tm->tm_mday < 1 || tm->tm_mday > 31)
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	return true;
}

/* The beginning of the day of `now`, moved by some days. */
static struct tm day_of(uint64_t now, int days, bool utc)
{
	time_t seconds = (time_t)(now / 1000);
	struct tm tm;

	if (utc)
		gmtime_r(&seconds, &tm);
	else
		localtime_r(&seconds, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday += days;
	return tm;
}

bool read_when(struct str text, uint64_t now, uint64_t *ms_out)
{
	bool utc = format_is_utc();
	struct tm tm = { 0 };
	uint64_t age;
	time_t seconds;

	if (read_duration(text, AGE_MAX_MS, &age)) {
		*ms_out = age < now ? now - age : 1;
		return true;
	}
	if (text.n > 8 && str_iends(text, S("z"))) {
		utc = true;
		text.n--;
	}
	if (str_ieq(text, S("today")) || str_ieq(text, S("yesterday"))) {
		tm = day_of(now, str_ieq(text, S("today")) ? 0 : -1, utc);
	} else if (text.n > 2 && text.p[2] == ':') {
		tm = day_of(now, 0, utc);
		if (!take_time(&text, &tm))
			return false;
	} else {
		if (!take_date(&text, &tm))
			return false;
		if (text.n > 0 && (text.p[0] == ' ' || text.p[0] == 'T' || text.p[0] == 't')) {
			text = str_from(text, 1);
			if (!take_time(&text, &tm))
				return false;
		}
		if (text.n > 0)
			return false;
	}
	tm.tm_isdst = -1;
	seconds = utc ? timegm(&tm) : mktime(&tm);
	if (seconds <= 0)
		return false;
	*ms_out = (uint64_t)seconds * 1000;
	return true;
}
