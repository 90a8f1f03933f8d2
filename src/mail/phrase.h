/* phrase.h - display names: what a reader shows of one, and the one clear way to write it. */
#ifndef POSTHOUSE_MAIL_PHRASE_H
#define POSTHOUSE_MAIL_PHRASE_H

#include "fixup.h"
#include "words.h"

struct phrase {
	struct words words;
	struct str shown; /* all of it as text; "" = there is no name */
	bool mended;      /* it is not what was written: another form of it must be */
	struct str fault; /* why nobody can say how readers show it; "" = they all show the same */
};

/* Read a display name, whose quotes are off: encoded words within it are decoded, control characters and runs of white space
 * become one space, "<" and ">", which readers that decode before they parse would take for the address, become their
 * typographic sisters. Addresses within it are rewritten as the fields are (fixup.h), since they mostly are the very address
 * behind it. */
void phrase_read(struct arena *a, const struct fixup_input *in, struct str text, struct phrase *out);

/* Add what looks like an address to who sees the name, also where "@" or "." are of another alphabet's width. */
void phrase_addresses(struct arena *a, const struct phrase *p, struct str_list *addresses);

/* The name as every reader reads it: words of letters, else a quoted string without any backslash, else encoded words. Words
 * in a charset that is not ours stay as they are. */
struct str phrase_write(struct arena *a, const struct phrase *p);

#endif
