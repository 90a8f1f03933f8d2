/* mime.h - what the header section of a message or part says about its body (RFC 2045, 2046). */
#ifndef POSTHOUSE_MAIL_MIME_H
#define POSTHOUSE_MAIL_MIME_H

#include "posthouse/str.h"

#define BOUNDARY_MAX 200 /* RFC 2046 5.1.1 allows 70 */

enum mime_kind {
	MIME_BODY_PART,
	MIME_MULTIPART,
	MIME_DIGEST,  /* multipart/digest: a part without Content-Type is a message (RFC 2046 5.1.5) */
	MIME_MESSAGE, /* message/rfc822: a header section and a body again */
	MIME_OPAQUE,  /* must not be changed: signed or encrypted, or readers would understand it in different ways */
};

enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QP, MIME_BASE64, MIME_OTHER };

struct mime_part {
	enum mime_kind kind;
	enum mime_encoding encoding;
	bool has_version, has_type; /* MIME-Version, Content-Type */
	bool is_text;               /* as Content-Type says, or without it (RFC 2045 5.2) */
	const char *opaque;         /* MIME_OPAQUE: what it is, and why it is left alone */
	char boundary[BOUNDARY_MAX];
	size_t boundary_n;
};

/* Take the field at the front of a header section, whose lines begin fields or go on with them; a line that does neither comes
 * as one without name. False at the end. */
struct mime_field {
	struct str name, value, whole;
};
bool mime_take_field(struct str *section, struct mime_field *field_out);

/* Take white space, folds and comments off the front (RFC 5322 3.2.2); false for a comment without end. */
bool mime_skip_space(struct str *s);

/* What a header section says; `otherwise` is the kind when it has no Content-Type. Of several fields of a name the first
 * counts. */
void mime_read(struct str section, enum mime_kind otherwise, struct mime_part *part_out);

#endif
