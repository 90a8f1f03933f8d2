/* base64.h - base64 (RFC 4648 section 4). */
#ifndef POSTHOUSE_BASE64_H
#define POSTHOUSE_BASE64_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"

/* Encode with padding: into `out`, which has room for 4 bytes for each begun 3 (returns how many were written); in the arena; or
 * at the end of a buffer (false when its bound would be passed). */
size_t base64_write(char *out, struct str bytes);
struct str base64_encode(struct arena *a, struct str bytes);
bool base64_add(struct buf *b, struct str bytes);

/* Decode strictly: no white space, the right padding, and no bits that belong to no byte. */
bool base64_decode(struct arena *a, struct str text, struct str *bytes_out);

/* The same, but padding can be missing; into `to`, which has room for text.n bytes and can be text.p itself. */
bool base64_decode_unpadded(char *to, struct str text, size_t *n_out);

#endif
