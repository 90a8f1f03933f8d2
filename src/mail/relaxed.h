/* relaxed.h - the "relaxed" canonicalisation of RFC 6376 3.4.2 and 3.4.4. */
#ifndef POSTHOUSE_MAIL_RELAXED_H
#define POSTHOUSE_MAIL_RELAXED_H

#include "posthouse/mail.h"

#include <openssl/evp.h>

/* A body on its way into a hash. What can turn out to be nothing (white space before a line's end, empty lines before the body's
 * end) waits as a count; everything else goes on at once. */
struct relaxed_body { /* begins as { .hash = … } */
	EVP_MD_CTX *hash;
	uint64_t line_ends; /* CRLFs since the last byte that was passed on */
	bool space;         /* white space since then, in the current line */
	bool cr;            /* the last byte was CR */
	bool any;           /* something was passed on */
	size_t gathered;
	char gather[1024]; /* short pieces, so that the hash is called rarely */
};

void relaxed_body_feed(struct relaxed_body *b, struct str bytes);
void relaxed_body_finish(struct relaxed_body *b);

/* Append the canonical form of a field, without CRLF at the end. */
void relaxed_field(struct buf *out, struct str name, struct str value);

#endif
