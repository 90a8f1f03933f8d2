/* profiles.h - what is known of providers that many people send through. */
#ifndef POSTHOUSE_CONFIG_PROFILES_H
#define POSTHOUSE_CONFIG_PROFILES_H

#include "schema.h"

struct profile {
	const char *name, *host;
	uint64_t port;
	unsigned tls;         /* enum upstream_tls */
	const char *messages; /* rates with spaces between */
	uint64_t connections;
};

extern const struct profile profiles[];
extern const size_t profiles_n;
extern const struct choice profile_choices[]; /* their names, for the key */

/* NULL: there is none of that name. */
const struct profile *profile_find(struct str name);

#endif
