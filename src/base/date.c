/* date.c - times as RFC 3339 writes them. */
#include "posthouse/date.h"

#include <time.h>

/* Take a number of so many digits, and the character behind it (0: none), off the front. */
static bool take_number(struct str *s, size_t digits, char behind, int *value_out)
{
	uint64_t value;

	if (s->n < digits + (behind != 0) || !str_to_u64(str_head(*s, digits), &value))
		return false;
	if (behind != 0 && ascii_lower(s->p[digits]) != behind)
		return false;
	*s = str_from(*s, digits + (behind != 0));
	*value_out = (int)value;
	return true;
}

/* Take time-secfrac, of which milliseconds count. */
static bool take_fraction(struct str *s, int *ms_out)
{
	int unit = 100;
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
static bool take_offset(struct str s, int *offset_out)
{
	int hour, minute;
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

bool date_parse(struct str s, uint64_t *ms_out)
{
	int year, month, day, hour, minute, second, fraction, offset;
	struct tm t;
	time_t at_s;

	if (!take_number(&s, 4, '-', &year) || !take_number(&s, 2, '-', &month) || !take_number(&s, 2, 't', &day))
		return false;
	if (!take_number(&s, 2, ':', &hour) || !take_number(&s, 2, ':', &minute) || !take_number(&s, 2, 0, &second))
		return false;
	if (!take_fraction(&s, &fraction) || !take_offset(s, &offset))
		return false;
	if (year < 1970 || hour > 23 || minute > 59 || second > 60) /* 60: a leap second */
		return false;
	t = (struct tm){ .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day };
	at_s = timegm(&t) + hour * 3600 + minute * 60 + second - offset;
	if (t.tm_mon != month - 1 || t.tm_mday != day || at_s < 0) /* timegm() makes a day that does not exist another one */
		return false;
	*ms_out = (uint64_t)at_s * 1000 + (uint64_t)fraction;
	return true;
}

void date_add(struct buf *b, uint64_t ms)
{
	time_t at_s = (time_t)(ms / 1000);
	struct tm t;

	gmtime_r(&at_s, &t);
	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec);
}
