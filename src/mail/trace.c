/* trace.c - the date, and the Received field. */
#include "posthouse/id.h"
#include "posthouse/mail.h"
#include "text.h"

#include <time.h>

/* Not strftime: RFC 5322 has English names, and the locale is the user's. */
static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct str mail_date(struct arena *a, uint64_t now_ms)
{
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm t = { 0 };

	if (!gmtime_r(&seconds, &t)) {
		seconds = 0; /* a year that no int holds: no clock shows it */
		gmtime_r(&seconds, &t);
	}
	return arena_printf(a, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
			    t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* Whether an address can stand in a field on a line of its own: "for" may be left out, so anything odd is left out. */
static bool can_be_shown(struct str address)
{
	if (address.n == 0 || address.n > 320)
		return false;
	for (size_t i = 0; i < address.n; i++) {
		if (is_control(address.p[i]) || is_8bit(address.p[i]))
			return false;
	}
	return true;
}

struct str mail_received(struct arena *a, struct str hostname, struct str with, uint64_t id, struct str for_recipient,
			 uint64_t now_ms)
{
	char text[ID_TEXT_MAX];
	struct str date = mail_date(a, now_ms);

	id_format(id, text);
	if (!can_be_shown(for_recipient))
		return arena_printf(a, "Received: by %.*s (Posthouse) with %.*s id %s;\r\n\t%.*s\r\n", STR_ARG(hostname),
				    STR_ARG(with), text, STR_ARG(date));
	return arena_printf(a, "Received: by %.*s (Posthouse) with %.*s id %s\r\n\tfor <%.*s>; %.*s\r\n", STR_ARG(hostname),
			    STR_ARG(with), text, STR_ARG(for_recipient), STR_ARG(date));
}
