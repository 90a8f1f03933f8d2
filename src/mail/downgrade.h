/* downgrade.h - the state of a downgrade, and what downgrade.c (lines), walk.c (structure) and body_part.c (content) do with
 * it. */
#ifndef POSTHOUSE_MAIL_DOWNGRADE_H
#define POSTHOUSE_MAIL_DOWNGRADE_H

#include "encode.h"
#include "mime.h"
#include "text.h"

#include "posthouse/mail.h"
#include "posthouse/utf8.h"

#define NESTING_MAX     20
#define PART_HEADER_MAX (64 * 1024)
#define LINE_CHUNK      (TEXT_LINE_MAX + 2) /* a longer line is handled in such pieces */
#define ENCODED_MAX     1000                /* body parts that are encoded: each gets fields, and the output is bounded */

enum place { IN_HEADER, IN_BODY_PART, IN_FRAME, IN_OPAQUE };

/* What is known of the content of a body part. */
enum { NEEDS_ENCODING = 1, HAS_8BIT = 2, NOT_UTF8 = 4 };

struct level {
	char boundary[BOUNDARY_MAX];
	size_t boundary_n;
	bool digest;
	unsigned depth; /* of the multipart itself */
};

/* A piece of the text: a line without its CRLF, or a part of one that is longer than TEXT_LINE_MAX. */
struct piece {
	struct str bytes;
	bool begins, ends; /* the line; a last line without CRLF ends as well, without has_crlf */
	bool has_crlf;
	bool is_long; /* of a line that is too long */
	bool unfit;   /* has bytes that 7-bit text cannot have */
};

struct downgrade {
	unsigned what;       /* DOWNGRADE_... */
	struct str own_from; /* the author; "": it stays */
	struct arena arena;  /* of a header section being written */
	struct sink sink;
	struct verdict failure;
	struct arena reason; /* the words of it */
	enum place place;

	char line[LINE_CHUNK];
	size_t line_n;
	bool in_line; /* a piece of it was handled already */

	/* the entity */
	struct buf section; /* its header section */
	struct mime_part part;
	bool is_top, is_message, in_digest;
	bool blank; /* a blank line ended the section */
	unsigned depth;

	/* the body part */
	struct encoder encoder;
	struct buf sample; /* its front, while it is undecided, … */
	size_t sample_max; /* … and how long that can become */
	bool undecided, mending;
	bool pending_crlf; /* belongs to the next delimiter, or else to the content (RFC 2046 5.1.1) */
	bool unfit;        /* has been seen to need encoding */
	struct utf8_check utf8;

	struct level levels[NESTING_MAX]; /* the multiparts around the current place */
	size_t levels_n;
	size_t frame_column;

	size_t encoded; /* body parts */

	struct buf top; /* the header section of the message, when top_done */
	bool top_done;
};

/* ---- walk.c ---- */
void walk_begin(struct downgrade *c);
void walk_piece(struct downgrade *c, const struct piece *p);
void walk_end(struct downgrade *c); /* with the text */

/* ---- body_part.c ---- */

/* RFC 3463 3.7: X.6.3, conversion required but not supported; RFC 6531 3.5: X.6.7, an address needs SMTPUTF8. The first reason
 * counts. */
void downgrade_fail(struct downgrade *c, struct str why);

/* The header section of an entity, written with changes. */
struct additions {
	bool raw;             /* the content is not known: the fields stay as they are */
	const char *encoding; /* NULL: its field, if any, stays */
	const char *charset;  /* NULL: no Content-Type is added */
	bool version;
};
void section_write(struct downgrade *c, const struct additions *add);
/* A label that says 8bit or binary must go, as the text is 7-bit now (RFC 2045 6.4: for a container it speaks of all that is
 * inside). NULL for another. */
const char *section_relabel(const struct downgrade *c);

void body_part_begin(struct downgrade *c);
void body_part_piece(struct downgrade *c, const struct piece *p);
/* The content ends: before a delimiter, or (`last`) with the text, where a CRLF belongs to it. */
void body_part_end(struct downgrade *c, bool last);

/* Does the next mail server refuse this piece as it is? */
static inline bool piece_is_unfit(const struct downgrade *c, const struct piece *p)
{
	return (p->unfit && (c->what & DOWNGRADE_7BIT)) || (p->is_long && (c->what & DOWNGRADE_LINES));
}

#endif
