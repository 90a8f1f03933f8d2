/* find_patterns.h - what is looked for, as patterns of LIKE by which the server leaves out most of what does not fit: all that
 * fits fits its pattern too, if it is plain ASCII. */
#ifndef POSTGRESQL_FIND_PATTERNS_H
#define POSTGRESQL_FIND_PATTERNS_H

#include "match.h"

struct find_patterns {
	struct str sender[2], recipient[2]; /* one of the two */
	struct str_list subject;            /* all */
};
void find_patterns_init(struct find_patterns *p, struct arena *a, const struct matcher *m);

#endif
