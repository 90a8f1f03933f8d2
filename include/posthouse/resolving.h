/* resolving.h - the DNS for roles that ask the role resolver: a struct dns_source whose questions go to that role by messages.
 * While it is away, questions wait for its next process, as long as whoever has asked. What it answers is looked into by dns, as
 * a stranger's bytes. */
#ifndef POSTHOUSE_RESOLVING_H
#define POSTHOUSE_RESOLVING_H

#include "posthouse/dns.h"
#include "posthouse/list.h"
#include "posthouse/role.h"

struct resolving {
	struct role *role;
	struct list unasked; /* they wait for the role */
};

/* The look-ups; for both address families until dns_use() says something else. `s` lives as long. */
struct dns *resolving_start(struct resolving *s, struct role *r);

/* ops->peer_up, of any peer. */
void resolving_peer_up(struct resolving *s, struct channel *ch);

#endif
