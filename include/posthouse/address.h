/* address.h - mail addresses in their canonical form (domains alone: names.h). An address that is compared with others (senders,
 * routes, limits, duplicates, logins) is brought to this form where it comes in: from the configuration, MAIL and RCPT, header
 * fields, a login. All results are in `a`. */
#ifndef POSTHOUSE_ADDRESS_H
#define POSTHOUSE_ADDRESS_H

#include "posthouse/arena.h"

/* The parts of an address, in any form, before and behind the last '@'. Without '@' all of it is the local part, and the domain
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

/* RFC 3461 4: xtext to plain bytes; a "+" without two upper-case hexadecimal digits stays as it is. */
struct str xtext_decode(struct arena *a, struct str s);
struct str xtext_encode(struct arena *a, struct str s);
int hex_value(char c); /* of an upper-case hexadecimal digit; -1 for any other character */

/* The domain behind the last '@' canonical, the rest as it is; "@b", and patterns "@.b" and "a@.b", too. Text without
 * '@' comes back unchanged. */
struct str address_with_canonical_domain(struct arena *a, struct str address);

/* A valid address (RFC 5321 4.1.2 Mailbox): its domain canonical, and quotes and backslashes of the local part only where they
 * are needed, so that "alice"@example.org is alice@example.org. */
struct str address_canonical(struct arena *a, struct str address);

/* Are two canonical addresses the same mailbox? They are compared byte by byte, except that a..b@c is "a..b"@c: it should be
 * quoted, but in use it is not. */
bool address_same(struct str one, struct str other);

/* A canonical local part without its quotes, where no other local part has this text. */
struct str address_bare_local(struct str local);

#endif
