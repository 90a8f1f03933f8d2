/* dmarc.h - DMARC (RFC 7489): records, organisational domains, alignment. Pure functions; texts live in the arena. */
#ifndef POSTHOUSE_DMARC_H
#define POSTHOUSE_DMARC_H

#include "posthouse/arena.h"

/* ---- public_suffix.c ---- */

/* The part of a name under which its owner registered it: "example.co.uk" of "a.b.example.co.uk" (RFC 7489 3.2, by the list of
 * public suffixes that libpsl has). A public suffix, and a name without dots, is its own. `name` is lower-case A-labels. */
struct str organisational_domain(struct str name);
/* The same organisation? `strict`: the same name (RFC 7489 3.1). */
bool domains_align(struct str one, struct str other, bool strict);

#endif
