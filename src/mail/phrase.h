/* phrase.h - display names: what a reader shows of one, and the one clear way to write it. */
#ifndef POSTHOUSE_MAIL_PHRASE_H
#define POSTHOUSE_MAIL_PHRASE_H

#include "fixup.h"
#include "words.h"

struct phrase {
	struct words words;
	struct str shown; /* all of it as text; "" = there is no name */
	bool mended;      /* it differs from what was written, so it must be written again */
	struct str fault; /* why readers can show it differently; "" = they all show the same */
};

/* Read a display name, whose quotes are off: encoded words within it are decoded, control characters and runs of white space
 * become one space. "<" and ">" become typographic brackets, since a reader that decodes before it parses would take them for
 * those of the address. Addresses within it are rewritten as in the fields (fixup.h): most often it is the address that
 * follows. */
void phrase_read(struct arena *a, const struct fixup_input *in, struct str text, struct phrase *out);

/* Add all that looks like an address to a person who sees the name, also with full-width forms of "@" or ".". */
void phrase_addresses(struct arena *a, const struct phrase *p, struct str_list *addresses);

/* The name as every reader reads it: words of letters, else a quoted string without any backslash, else encoded words. Words
 * in other charsets than UTF-8 and ASCII stay as they are. */
struct str phrase_write(struct arena *a, const struct phrase *p);

#endif
