/* trace.c - the date, and the Received field. */
#include "posthouse/id.h"
#include "posthouse/mail.h"
#include "text.h"

#include <time.h>

#define HELO_SHOWN   255 /* RFC 1035 2.3.4: a name has no more */
#define CLIENT_SHOWN 45

/* Not strftime(), whose names depend on the locale: RFC 5322 needs English names. */
static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

struct str mail_date(struct arena *a, uint64_t now_ms)
{
	time_t seconds = (time_t)(now_ms / 1000);
	struct tm t = { 0 };

	if (!gmtime_r(&seconds, &t)) {
		seconds = 0; /* the year does not fit an int: no clock shows it */
		gmtime_r(&seconds, &t);
	}
	return arena_printf(a, "%s, %02d %s %04d %02d:%02d:%02d +0000", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
			    t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

/* Is the address plain and short enough for a line of its own? "for" is optional, so it is left out for other addresses. */
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

/* At most `max` letters, digits and `others` of `s`, so that text of a peer cannot end the field or look like another one. */
static struct str keep_only(struct arena *a, struct str s, const char *others, size_t max)
{
	char *out = arena_alloc(a, max);
	size_t used = 0;

	for (size_t i = 0; i < s.n && used < max; i++) {
		char c = ascii_lower(s.p[i]);
		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != '\0' && strchr(others, c)))
			out[used++] = s.p[i];
	}
	return str_make(out, used);
}

/* RFC 5321 4.1.3: an address as a literal; without the scope of a link-local one. */
static struct str literal(struct arena *a, struct str address)
{
	address = keep_only(a, str_head(address, str_find(address, '%')), ".:", CLIENT_SHOWN);
	if (str_istarts(address, S("::ffff:")) && str_find(address, '.') < address.n)
		address = str_from(address, 7); /* an IPv4 client on an IPv6 socket */
	return arena_printf(a, "[%s%.*s]", str_find(address, ':') < address.n ? "IPv6:" : "", STR_ARG(address));
}

/* RFC 5321 4.4: "from NAME ([ADDRESS]) "; the address replaces a name that cannot be used. */
static struct str from_clause(struct arena *a, const struct received_input *in)
{
	if (in->local_user.n > 0) {
		struct str user = keep_only(a, in->local_user, "-._@, ", HELO_SHOWN);

		return arena_printf(a, "from localhost (local user %.*s)\r\n\t", STR_ARG(user));
	}
	if (in->client.n == 0)
		return S("");
	struct str address = literal(a, in->client), name = keep_only(a, in->helo, "-._", HELO_SHOWN);
	if (str_starts(in->helo, S("[")) && str_ends(in->helo, S("]")))
		name = arena_printf(a, "[%.*s]", STR_ARG(keep_only(a, in->helo, "-.:", HELO_SHOWN)));
	if (name.n == 0)
		name = address;
	return arena_printf(a, "from %.*s (%.*s)\r\n\t", STR_ARG(name), STR_ARG(address));
}

struct str mail_received(struct arena *a, const struct received_input *in)
{
	struct str from = from_clause(a, in), date = mail_date(a, in->now_ms), to = S(";\r\n\t");
	char id[ID_TEXT_MAX];

	if (can_be_shown(in->for_recipient))
		to = arena_printf(a, "\r\n\tfor <%.*s>; ", STR_ARG(in->for_recipient));
	return arena_printf(a, "Received: %.*sby %.*s (Posthouse) with %.*s id %s%.*s%.*s\r\n", STR_ARG(from),
			    STR_ARG(in->hostname), STR_ARG(in->with), id_format(in->id, id), STR_ARG(to), STR_ARG(date));
}
