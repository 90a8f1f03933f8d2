/* accept.c - the Accept field of a request: which of the two text formats it wants. */
#include "exposition.h"

/* "0.75" as 750; RFC 9110 12.4.2 has at most three digits behind the point. Not a number: 0. */
static unsigned quality(struct str s)
{
	unsigned value = 0, unit = 1000;

	for (size_t i = 0; i < s.n && i < 5; i++) {
		if (s.p[i] == '.' && i == 1)
			continue;
		if (s.p[i] < '0' || s.p[i] > '9')
			return 0;
		value += (unsigned)(s.p[i] - '0') * unit;
		unit /= 10;
	}
	return value > 1000 ? 0 : value;
}

/* "type/subtype; q=0.5": the type and its quality. */
static struct str read_range(struct str range, unsigned *quality_out)
{
	struct str type = S(""), part;

	*quality_out = 1000;
	if (str_split(&range, ';', &part))
		type = str_trim(part);
	while (str_split(&range, ';', &part)) {
		part = str_trim(part);
		if (str_istarts(part, S("q=")))
			*quality_out = quality(str_from(part, 2));
	}
	return type;
}

enum exposition exposition_wanted(struct str accept)
{
	unsigned newer = 0, older = 0;
	struct str range;

	while (str_split(&accept, ',', &range)) {
		unsigned q;
		struct str type = read_range(range, &q);

		if (str_ieq(type, S("application/openmetrics-text")) && q > newer)
			newer = q;
		else if (str_ieq(type, S("text/plain")) && q > older)
			older = q;
	}
	return newer > 0 && newer >= older ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS;
}
