/* identity.c - checks Message-ID and Date, and finds the host that Authentication-Results name. */
#include "identity.h"

#include "mime.h"
#include "text.h"

#define HOST_MAX 255 /* RFC 1035 2.3.4 */

static struct str skip_space(struct str s)
{
	mime_skip_space(&s);
	return s;
}

/* RFC 5322 3.6.4, but with more characters than dot-atoms: programs use them, and a changed id would break threads. */
bool message_id_valid(struct str value)
{
	struct str s = skip_space(value);
	size_t end = str_find(s, '>'), at = str_find(str_head(s, end), '@');

	if (!str_starts(s, S("<")) || end == s.n || at < 2 || at + 1 >= end || end > MESSAGE_ID_MAX ||
	    str_find(value, '\0') < value.n)
		return false;
	for (size_t i = 1; i < end; i++) {
		if (is_control(s.p[i]) || s.p[i] == ' ' || s.p[i] == '<')
			return false;
	}
	return skip_space(str_from(s, end + 1)).n == 0;
}

/* A number of `least` to `most` digits; -1: there is none. */
static int take_number(struct str *s, size_t least, size_t most)
{
	int value = 0;
	size_t n = 0;

	while (n < s->n && n <= most && s->p[n] >= '0' && s->p[n] <= '9')
		value = value * 10 + (s->p[n++] - '0');
	if (n < least || n > most)
		return -1;
	*s = str_from(*s, n);
	return value;
}

/* One of the words of three letters in `names`; -1 for none of them. */
static int take_name(struct str *s, const char *names)
{
	for (size_t i = 0; names[i] != '\0'; i += 3) {
		if (str_istarts(*s, str_make(names + i, 3)) &&
		    (s->n == 3 || ascii_lower(s->p[3]) < 'a' || ascii_lower(s->p[3]) > 'z')) {
			*s = str_from(*s, 3);
			return (int)i / 3;
		}
	}
	return -1;
}

static bool take_mark(struct str *s, char mark)
{
	*s = skip_space(*s);
	if (s->n == 0 || *s->p != mark)
		return false;
	*s = skip_space(str_from(*s, 1));
	return true;
}

/* "hour:minute", and perhaps ":second". */
static bool take_time(struct str *s)
{
	int hour = take_number(s, 1, 2);
	bool good = hour >= 0 && hour < 24 && take_mark(s, ':');
	int minute = good ? take_number(s, 2, 2) : -1;

	if (minute < 0 || minute > 59)
		return false;
	if (!take_mark(s, ':'))
		return true;
	int second = take_number(s, 2, 2);
	return second >= 0 && second <= 60;
}

/* "+hhmm", or the letters of any zone (RFC 5322 4.3). */
static bool take_zone(struct str *s)
{
	size_t n = 0;

	*s = skip_space(*s);
	if (str_starts(*s, S("+")) || str_starts(*s, S("-"))) {
		*s = str_from(*s, 1);
		int zone = take_number(s, 4, 4);
		return zone >= 0 && zone % 100 < 60;
	}
	while (n < s->n && ascii_lower(s->p[n]) >= 'a' && ascii_lower(s->p[n]) <= 'z')
		n++;
	*s = str_from(*s, n);
	return n > 0 && n <= 5;
}

bool date_valid(struct str value)
{
	static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	struct str s = skip_space(value);

	if (take_name(&s, "MonTueWedThuFriSatSun") >= 0)
		take_mark(&s, ',');
	s = skip_space(s);
	int day = take_number(&s, 1, 2);
	s = skip_space(s);
	int month = take_name(&s, "JanFebMarAprMayJunJulAugSepOctNovDec");
	s = skip_space(s);
	int year = take_number(&s, 2, 4);
	s = skip_space(s);
	if (str_find(value, '\0') < value.n || day < 1 || month < 0 || day > days[month] || year < 0)
		return false;
	return take_time(&s) && take_zone(&s) && skip_space(s).n == 0;
}

bool is_result_of(struct arena *a, struct str value, struct str hostname)
{
	struct str s = skip_space(value), id, domain;
	size_t n = 0;

	if (str_starts(s, S("\""))) {
		id = str_head(str_from(s, 1), str_find(str_from(s, 1), '"'));
	} else {
		while (n < s.n && !is_wsp(s.p[n]) && !is_control(s.p[n]) && s.p[n] != ';' && s.p[n] != '(')
			n++;
		id = str_head(s, n);
	}
	id = str_head(id, id.n - str_ends(id, S(".")));
	if (id.n > HOST_MAX)
		return false;
	if (str_ieq(id, hostname))
		return true;
	return mail_address_to_ascii(a, arena_printf(a, "x@%.*s", STR_ARG(id)), &domain) &&
	       str_ieq(str_from(domain, 2), hostname);
}
