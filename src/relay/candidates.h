/* candidates.h - the addresses of a next hop: by host name, or by the MX records of a domain; the resolver for these; and
 * addresses that get no mail. */
#ifndef RELAY_CANDIDATES_H
#define RELAY_CANDIDATES_H

#include "posthouse/config.h"
#include "posthouse/dns.h"
#include "posthouse/str.h"

#include <arpa/inet.h>

struct relay;
struct pool;

struct candidate {
	struct str host;
	struct sockaddr_storage address;
	bool cut; /* the attempt was ended before the whole time limit */
};
/* IPv4 and IPv6 addresses have their port in the same place. */
static inline unsigned candidate_port(const struct candidate *t)
{
	return ntohs(((const struct sockaddr_in *)&t->address)->sin_port);
}

/* ---- candidates.c ---- */
/* Begin the look-up, unless one is under way; relay_ops.found follows. False and why: this is not possible. */
bool candidates_ask(struct pool *pool, struct arena *a, struct verdict *why_out);
/* Is the last result, or the last failure, recent enough to be used? */
bool candidates_fresh(const struct pool *pool);
void candidates_forget(struct pool *pool);

/* ---- resolver.c ---- */
/* Opened at its first use. NULL: not possible, and why. */
struct dns *resolver_get(struct relay *relay, struct arena *a, struct verdict *why_out);
/* The settings as one text, for a comparison. */
struct str resolver_options(struct arena *a, const struct cfg_delivery *d);
struct verdict resolver_check(struct relay *relay, const struct cfg_delivery *d); /* OK: the settings can be applied */
void resolver_apply(struct relay *relay); /* replace the resolver by the checked one, or by none */
void resolver_abandon(struct relay *relay);

/* ---- reach.c ---- */
/* Why mail is not delivered directly to this address ("a loopback address"); NULL: it is. literal: a user named the address. */
const char *reach_obstacle(const struct cfg_delivery *d, const struct sockaddr_storage *address, bool literal);
const struct str_list *reach_own(struct relay *relay); /* this machine's addresses; valid until the next call */

#endif
