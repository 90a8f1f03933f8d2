/* base64.h - base 64 for SASL over SMTP (RFC 4648 section 4; RFC 4954 section 4), private to smtp/. */
#ifndef POSTHOUSE_SMTP_BASE64_H
#define POSTHOUSE_SMTP_BASE64_H

#include "posthouse/buf.h"

/* Append the encoded form; false when the buffer's bound would be passed. */
bool smtp_base64_add(struct buf *b, struct str bytes);

/* Decode (padding may be missing; no white space within) into `to`, which has room for text.n bytes and may be text.p itself. */
bool smtp_base64_decode(char *to, struct str text, size_t *n_out);

#endif
