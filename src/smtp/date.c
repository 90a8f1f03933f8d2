/* date.c - times as RFC 3339 writes them: HOLDUNTIL and what EHLO says of it (RFC 4865). */
#include "grammar.h"

#include "posthouse/buf.h"

#define DAY_S (24 * 60 * 60)

/* Days since 1970-01-01 of a date in the Gregorian calendar: years are counted from March, so that the leap day is their last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month > 2 ? year : year - 1, shifted = month > 2 ? month - 3 : month + 9;

	return y * 365 + y / 4 - y / 100 + y / 400 + (shifted * 153 + 2) / 5 + day - 1 - 719468;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
	return month == 12 ? 31 : days_of(year, month + 1, 1) - days_of(year, month, 1);
}

/* Take a number of so many digits, and the character behind it (0: none), off the front. */
static bool take_number(struct str *s, size_t digits, char behind, int64_t *value_out)
{
	uint64_t value;

	if (s->n < digits + (behind != 0) || !str_to_u64(str_head(*s, digits), &value))
		return false;
	if (behind != 0 && ascii_lower(s->p[digits]) != behind)
		return false;
	*s = str_from(*s, digits + (behind != 0));
	*value_out = (int64_t)value;
	return true;
}

/* Take time-secfrac, of which milliseconds count. */
static bool take_fraction(struct str *s, int64_t *ms_out)
{
	int64_t unit = 100;
	size_t n = 1;

	*ms_out = 0;
	if (s->n == 0 || s->p[0] != '.')
		return true;
	for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++, unit /= 10)
		*ms_out += (s->p[n] - '0') * unit;
	*s = str_from(*s, n);
	return n > 1;
}

/* time-offset: all that is left; in seconds. */
static bool take_offset(struct str s, int64_t *offset_out)
{
	int64_t hour, minute;
	bool minus = s.n > 0 && s.p[0] == '-';

	*offset_out = 0;
	if (s.n == 1)
		return ascii_lower(s.p[0]) == 'z';
	if (s.n != 6 || (!minus && s.p[0] != '+'))
		return false;
	s = str_from(s, 1);
	if (!take_number(&s, 2, ':', &hour) || !take_number(&s, 2, 0, &minute) || hour > 23 || minute > 59)
		return false;
	*offset_out = (hour * 60 + minute) * (minus ? -60 : 60);
	return true;
}

bool smtp_date_parse(struct str s, uint64_t *ms_out)
{
	int64_t year, month, day, hour, minute, second, fraction, offset, at_s;

	if (!take_number(&s, 4, '-', &year) || !take_number(&s, 2, '-', &month) || !take_number(&s, 2, 't', &day))
		return false;
	if (!take_number(&s, 2, ':', &hour) || !take_number(&s, 2, ':', &minute) || !take_number(&s, 2, 0, &second))
		return false;
	if (!take_fraction(&s, &fraction) || !take_offset(s, &offset))
		return false;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
		return false;
	if (hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
		return false;
	at_s = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset;
	if (at_s < 0)
		return false;
	*ms_out = (uint64_t)at_s * 1000 + (uint64_t)fraction;
	return true;
}

void smtp_date_add(struct buf *b, uint64_t ms)
{
	int64_t at_s = (int64_t)(ms / 1000), days = at_s / DAY_S, rest = at_s % DAY_S, year = 1970, month = 1;

	year += days / 366; /* never too late a year */
	while (days_of(year + 1, 1, 1) <= days)
		year++;
	while (month < 12 && days_of(year, month + 1, 1) <= days)
		month++;
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month, (int)(days - days_of(year, month, 1) + 1),
		   (int)(rest / 3600), (int)(rest / 60 % 60), (int)(rest % 60));
}
