/* route.h - which way a recipient goes, decided when it is leased, so that a changed configuration applies to queued mail. */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "posthouse/config.h"

struct route {
	const struct cfg_upstream *upstream; /* NULL: there is no way, and `why` says so */
	struct verdict why;                  /* TEMP: configuration is ours to mend, the mail stays */
};

/* The first route of the configuration whose conditions all hold. A device login `alice/phone` counts as `alice`. */
struct route route_find(const struct config *c, struct str login, struct str sender, struct str recipient);

/* Is the upstream the first way of some route? */
bool route_uses(const struct config *c, const struct cfg_upstream *u);

#endif
