/* tags.h - tag lists, "v=DKIM1; k=rsa; p=…" (RFC 6376 3.2), as DKIM, DMARC, TLS-RPT, MTA-STS and BIMI have them. */
#ifndef POSTHOUSE_RECORDS_TAGS_H
#define POSTHOUSE_RECORDS_TAGS_H

#include "posthouse/arena.h"

struct tag {
	struct str name, value; /* without blanks around them */
	size_t at;              /* byte of the text where it begins */
};

struct tags {
	struct tag *at;
	size_t n;
	struct str fault; /* in words; "": none. Of the first tag that is none, or the first name that is there twice */
};

/* Every tag that can be read, also beside faults. Names keep their letters. */
struct tags tags_read(struct arena *a, struct str text);
/* By its name (RFC 6376 3.2: case matters); NULL: it is not there. */
const struct tag *tag_find(const struct tags *tags, const char *name);
/* Its value; "": it is not there. */
struct str tag_value(const struct tags *tags, const char *name);
/* Is `word` in a list with colons (without blanks around its words)? */
bool tag_list_has(struct str list, const char *word);

#endif
