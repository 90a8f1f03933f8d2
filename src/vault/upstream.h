/* upstream.h - the upstream of a name, whose login and password only vault has. */
#ifndef POSTHOUSE_VAULT_UPSTREAM_H
#define POSTHOUSE_VAULT_UPSTREAM_H

#include "posthouse/config.h"

/* The upstream that we may log in at. TEMP 454 4.7.0: no such upstream, or no login for it; *upstream_out is NULL then. */
struct verdict upstream_find(const struct config *c, struct str name, const struct cfg_upstream **upstream_out);

#endif
