/* passes.h - passes for pickup: it shows login a file of the drop directory, and gets a pass for the session in which it hands
 * the file over. Submission shows the pass to login. A pass is good for one session, and for a minute. */
#ifndef POSTHOUSE_LOGIN_PASSES_H
#define POSTHOUSE_LOGIN_PASSES_H

#include "posthouse/str.h"

#define PASS_SIZE  32
#define PASSES_MAX 64 /* pickup has three files in hand at once; the oldest pass gives way */

struct passes {
	struct {
		unsigned char bytes[PASS_SIZE];
		uint64_t uid, until; /* until: monotonic ms; 0: no pass */
		bool report;
	} at[PASSES_MAX];
	size_t next;
};

/* A new pass of this user, for his mail or for a report; a view that is valid until the next one is made. "": there are no random
 * numbers. */
struct str pass_make(struct passes *all, uint64_t uid, bool report);

/* Is this a pass? Then it is used up. */
bool pass_take(struct passes *all, struct str pass, uint64_t *uid_out, bool *report_out);

#endif
