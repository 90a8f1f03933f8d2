/* address.h - mail addresses in their one form (domains alone: names.h). What is compared (senders, routes, limits, duplicates,
 * logins) is brought to it first, where it comes in: from the configuration, from MAIL and RCPT, from header fields, from a
 * login. All results are in `a`. */
#ifndef POSTHOUSE_ADDRESS_H
#define POSTHOUSE_ADDRESS_H

#include "posthouse/arena.h"

/* What is before and behind the last '@' of an address in whatever form. Without '@' all of it is the local part, and the domain
 * is empty. */
static inline struct str address_local(struct str address)
{
	return str_head(address, str_rfind(address, '@'));
}

static inline struct str address_domain(struct str address)
{
	return str_from(address, str_rfind(address, '@') + 1);
}

/* RFC 5322 3.2.3. */
bool char_is_atext(char c);

/* The domain behind the last '@' canonical, the rest as it is; "@b", and patterns "@.b" and "a@.b", too. What has no '@' comes
 * back as it is. */
struct str address_with_canonical_domain(struct arena *a, struct str address);

/* A valid address (RFC 5321 4.1.2 Mailbox): its domain canonical, and quotes and backslashes of the local part only where they
 * are needed, so that "alice"@example.org is alice@example.org. */
struct str address_canonical(struct arena *a, struct str address);

/* Canonical addresses of one mailbox: byte by byte, except that a..b@c, which should be quoted and in use is not, is "a..b"@c. */
bool address_same(struct str one, struct str other);

/* A canonical local part without its quotes, where what is in them can be no other local part. */
struct str address_bare_local(struct str local);

#endif
