/* writer.h - text within a header field that is being rewritten (ascii.c), where its words can be encoded. */
#ifndef POSTHOUSE_MAIL_WRITER_H
#define POSTHOUSE_MAIL_WRITER_H

#include "text.h"

struct writer {
	struct arena *arena;
	unsigned what;      /* ASCII_... */
	struct buf out;     /* the field on one line, from its name on */
	struct str address; /* one that only SMTPUTF8 can carry; "": none */
};

/* How text is quoted: not at all, by quoted strings, or by quoted pairs only. */
enum form { PLAIN, PHRASE, COMMENT };

void writer_put(struct writer *w, struct str s);
bool writer_must_encode(const struct writer *w, struct str word);

/* A text, of which everything from the first word that must be encoded to the last one is; and a comment with its parentheses. */
void writer_put_words(struct writer *w, struct str text, enum form form);
void writer_put_comment(struct writer *w, struct str comment);

/* The text without quotes and backslashes. */
struct str writer_unquote(struct arena *a, struct str s, enum form form);

/* The end of the white space, quoted string or comment that begins at `at`. */
size_t writer_skip_wsp(struct str s, size_t at);
size_t writer_quoted_end(struct str s, size_t at);
size_t writer_comment_end(struct str s, size_t at);

#endif
