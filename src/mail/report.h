/* report.h - what the parts of a report share. */
#ifndef POSTHOUSE_MAIL_REPORT_H
#define POSTHOUSE_MAIL_REPORT_H

#include "posthouse/mail.h"

#define SUBJECT_SHOWN 200
#define ADDRESS_SHOWN 900 /* RFC 5322 2.1.1: a line has at most 998 */

/* How the last sentences for people begin; report_again.c replaces what follows this one. */
#define REPORT_OTHER_PARTS "The next part is for programs."

struct report {
	struct arena *arena;
	const struct report_input *in;
	struct buf out;
	struct str boundary;
	struct header original;
	struct str returned; /* the part of the original's header that comes back */
	bool whole;          /* and its body follows */
	bool returned_8bit;
	bool utf8_addresses; /* the part for programs must have the form of RFC 6533 */
};

/* ---- report_part.c ---- */
/* Begin a part of the container. */
void report_begin_part(struct report *r, const char *type, const char *description, bool is_8bit_part);
struct str report_shown_address(struct report *r, struct str address);
/* "550 5.1.1 text" as one clean line; "" for no answer. */
struct str report_answer(struct report *r, const struct verdict *v, bool ascii);
/* The original's field as one clean line; "" when it is absent, or holds encoded words, which a person cannot read. */
struct str report_original_line(struct report *r, struct str name, size_t max);

/* report_words.c: the part for people. */
void report_write_words(struct report *r, bool is_8bit_part);

#endif
