/* candidates.h - the addresses of a next hop: by host name, or by the MX records of a domain; the resolver that finds them, and
 * which addresses get no mail. */
#ifndef RELAY_CANDIDATES_H
#define RELAY_CANDIDATES_H

#include "posthouse/config.h"
#include "posthouse/dns.h"
#include "posthouse/str.h"

struct relay;
struct pool;

struct candidate {
	struct str host;
	struct sockaddr_storage address;
	bool cut; /* it had less than the whole time to answer */
};

/* ---- candidates.c ---- */
/* Look them up, unless that is under way; relay_ops.found follows. False and why: it is not possible. */
bool candidates_ask(struct pool *pool, struct arena *a, struct verdict *why_out);
/* Is there something that was found, or not found, lately? */
bool candidates_fresh(const struct pool *pool);
void candidates_forget(struct pool *pool);

/* ---- resolver.c ---- */
/* Opened when it is needed first; NULL and why. */
struct dns *resolver_get(struct relay *relay, struct arena *a, struct verdict *why_out);
/* The configuration in one text, to see whether it is the same. */
struct str resolver_options(struct arena *a, const struct cfg_delivery *d);
struct verdict resolver_check(struct relay *relay, const struct cfg_delivery *d); /* could it be used? */
void resolver_apply(struct relay *relay);                                         /* what was checked, or none */
void resolver_abandon(struct relay *relay);

/* ---- reach.c ---- */
/* Why mail is not delivered directly to this address ("a loopback address"); NULL: it may be. literal: a user named it. */
const char *reach_obstacle(const struct cfg_delivery *d, const struct sockaddr_storage *address, bool literal);
const struct str_list *reach_own(struct relay *relay); /* until the next call */

#endif
