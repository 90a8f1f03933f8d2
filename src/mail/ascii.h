/* ascii.h - a header field in 7 bits and in lines that all servers take, with the same meaning. */
#ifndef POSTHOUSE_MAIL_ASCII_H
#define POSTHOUSE_MAIL_ASCII_H

#include "posthouse/arena.h"

enum {
	ASCII_8BIT = 1, /* no byte beyond ASCII remains: encoded by RFC 2047, RFC 2231, RFC 5891 */
	ASCII_LONG = 2, /* no line of more than 998 bytes where that can be avoided: folded, or else encoded in the same ways */
};

/* `whole` is a field (with its last CRLF), `name` its name. False when it stays as it is; else *field_out, in the arena. A
 * field that cannot have encoded words becomes an unstructured one whose name begins with "Downgraded-" (RFC 6857 3.1.10). So
 * does a field with an address whose local part is beyond ASCII, unless `address_out` is given: it then gets that address (it
 * is untouched when there is none), and the field cannot be used. A boundary stays as it is. */
bool field_to_ascii(struct arena *a, unsigned what, struct str name, struct str whole, struct str *field_out,
		    struct str *address_out);

/* Whether there is a byte that 7-bit text cannot have: beyond ASCII, NUL, a CR or LF by itself. */
bool field_is_odd(struct str whole);

/* fold.c: fold the field before white space, where a line would have more than `max` bytes. The same view when nothing can be
 * folded. */
enum fold_where { FOLD_OUTSIDE, /* of quoted strings and comments */ FOLD_COMMENTS, /* and within these */ FOLD_ANYWHERE };
struct str fold_at(struct arena *a, struct str whole, size_t max, enum fold_where where);

#endif
