/* field.h - what is known of a header field by its name: the rows of fields.def. */
#ifndef POSTHOUSE_MAIL_FIELD_H
#define POSTHOUSE_MAIL_FIELD_H

#include "posthouse/str.h"

/* ascii.c: where text can be encoded: anywhere; in display names and comments; in comments and parameters; in comments alone. */
enum field_kind { UNSTRUCTURED, ADDRESSES, PARAMETERS, TRACE };

/* fixup.c: what becomes of the field. */
enum field_fixup { COPIED, AUTHOR, RESENDER, SENDERS, RECIPIENTS, MESSAGE_ID, DATE, RESULT, COUNTED, REMOVED };

/* repeated.c: can a message have several of them? REPEATS: yes. Else two become one when their values mean the same. ONCE_TEXT:
 * the words are equal. ONCE_WORD: case and comments do not matter. ONCE_TYPE (RFC 2045 5.1): case does not matter for the type,
 * the names of parameters and the value of charset; it does for other values, such as a boundary. Quotes do not matter.
 * ONCE_LIST: the values are joined. */
enum field_once { REPEATS, ONCE_TEXT, ONCE_WORD, ONCE_TYPE, ONCE_LIST };

/* dkim.c. OVER: signed once more than the field occurs, so that one that is added on the way breaks the signature. ASKED: the
 * same where the keys say so. AS_IT_IS: signed where it is, and a list can add its own (RFC 8058 4 wants List-Unsubscribe and
 * -Post signed). */
enum field_sign { UNSIGNED, OVER, ASKED, AS_IT_IS };

struct field {
	struct str name;
	enum field_kind kind;
	enum field_fixup fixup;
	enum field_once once;
	enum field_sign sign;
};

enum {
	FIELDS = 0
#define FIELD(name, kind, fixup, once, sign) +1
#include "fields.def"
#undef FIELD
};

extern const struct field fields[FIELDS + 1]; /* the last row is for all other fields */

const struct field *field_find(struct str name); /* header.c */

#endif
