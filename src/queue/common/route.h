/* route.h - the configuration's rules for the route of mail. dispatch/choice.h decides which choice of a route is open now. */
#ifndef QUEUE_ROUTE_H
#define QUEUE_ROUTE_H

#include "posthouse/config.h"
#include "posthouse/envelope.h"

/* The first route of the configuration whose conditions all hold; NULL: none does. A device login `alice/phone` counts as
 * `alice`. */
const struct cfg_route *route_find(const struct config *c, struct str login, struct str sender, struct str recipient);

/* The routes that are possible for mail of a login to a domain, whatever its sender and the recipient's local part are, in the
 * order of the configuration. complete: one of them applies for certain; else perhaps none does, or there are more than fit. */
#define ROUTES_MAX 8
struct route_set {
	const struct cfg_route *at[ROUTES_MAX];
	size_t n;
	bool complete;
};
struct route_set routes_for(const struct config *c, struct str login, struct str domain);

/* The size of the largest message that a choice of this recipient's route takes; UINT64_MAX: any. */
uint64_t route_message_size(const struct config *c, const struct envelope *envelope, struct str recipient);

/* Is the upstream, or "mx", a choice of some route? */
bool route_uses(const struct config *c, struct str via);

#endif
