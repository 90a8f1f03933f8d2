/* encode.h - a part's content as lines of 7-bit text: quoted-printable (RFC 2045 6.7) and base64 (6.8), as a stream. */
#ifndef POSTHOUSE_MAIL_ENCODE_H
#define POSTHOUSE_MAIL_ENCODE_H

#include "posthouse/buf.h"

#define TEXT_LINE_MAX 998 /* RFC 5322 2.1.1, without CRLF */

/* Where output goes. */
struct sink {
	struct buf *out; /* NULL: nowhere */
	bool full;       /* the bound was reached: something is missing */
};
void sink_put(struct sink *s, struct str bytes);

enum encoding {
	ENCODING_NONE,
	ENCODING_QP,
	ENCODING_BASE64,
};

#define BASE64_LINE 57 /* bytes that make a line of 76 characters */

struct encoder {
	enum encoding encoding;
	size_t column;
	char start[4]; /* how the line of output begins */
	char space;    /* quoted-printable: one at what can be the end of a line; 0 = none */
	bool cr;       /* quoted-printable: one that can belong to a CRLF */
	char held[BASE64_LINE];
	size_t held_n;
	unsigned escape; /* mending: characters that still belong to "=XX" */
};

/* A byte that a line of 7-bit text cannot have: beyond ASCII, NUL, CR or LF. */
static inline bool is_unfit(char c)
{
	return (unsigned char)c >= 0x80 || c == '\0' || c == '\r' || c == '\n';
}

/* The encoding that is shorter for `sample`. */
enum encoding encoding_choose(struct str sample);
const char *encoding_name(enum encoding encoding); /* as in Content-Transfer-Encoding */

void encoder_init(struct encoder *e, enum encoding encoding);
/* Content in any pieces; CRLF ends a line. No line of the output looks like a multipart delimiter. */
void encoder_put(struct encoder *e, struct sink *s, struct str bytes);
/* The content is complete. The output's last line has no CRLF then, unless it is also the `last` of the message. */
void encoder_end(struct encoder *e, struct sink *s, bool last);

/* Mend content that claims to be encoded but has unfit bytes or long lines: call it with each line, or piece of one, without
 * CRLF. Depending on e->encoding unfit bytes are escaped (quoted-printable) or dropped (base64; RFC 2045 6.8 lets readers
 * ignore them), and the line is divided. */
void encoder_mend(struct encoder *e, struct sink *s, struct str bytes, bool begins_line);

#endif
