/* zone.h - answers of DNS from a text: one record a line, "name TYPE value". The value "SERVFAIL" is no answer; a name without a
 * record of the type that is asked for is EMPTY, a name that is not there at all NO_NAME. */
#ifndef POSTHOUSE_TESTS_RECORDS_ZONE_H
#define POSTHOUSE_TESTS_RECORDS_ZONE_H

#include "posthouse/spf.h"

#include <stdlib.h>

struct zone {
	struct arena *arena;
	struct str text;
	const char *pending; /* "name TYPE" that is not there yet; NULL */
	unsigned asked;
};

static inline unsigned zone_type(struct str name)
{
	static const struct {
		const char *name;
		unsigned type;
	} types[] = { { "A", 1 }, { "PTR", 12 }, { "MX", 15 }, { "TXT", 16 }, { "AAAA", 28 } };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (str_eq(name, str_of(types[i].name)))
			return types[i].type;
	abort();
}

static inline struct spf_answer zone_lookup(void *ctx, struct str name, unsigned type)
{
	struct zone *z = ctx;
	struct str rest = z->text, line, *values = ARENA_ARRAY(z->arena, struct str, 200);
	struct spf_answer answer = { .state = SPF_DNS_NO_NAME, .values = values };

	z->asked++;
	if (z->pending) {
		struct str p = str_of(z->pending), owner;

		str_split(&p, ' ', &owner);
		if (str_ieq(owner, name) && zone_type(p) == type)
			return (struct spf_answer){ .state = SPF_DNS_PENDING };
	}
	while (str_split(&rest, '\n', &line)) {
		struct str owner, kind;

		if (!str_split(&line, ' ', &owner) || !str_split(&line, ' ', &kind) || !str_ieq(owner, name))
			continue;
		if (answer.state == SPF_DNS_NO_NAME)
			answer.state = SPF_DNS_EMPTY;
		if (zone_type(kind) != type)
			continue;
		if (str_eq(line, S("SERVFAIL")))
			return (struct spf_answer){ .state = SPF_DNS_ERROR };
		answer.state = SPF_DNS_THERE;
		values[answer.n++] = line;
	}
	return answer;
}

#endif
