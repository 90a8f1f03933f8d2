/* replies.h - what a client may count on in everything that the server machine says. */
#ifndef POSTHOUSE_FUZZ_REPLIES_H
#define POSTHOUSE_FUZZ_REPLIES_H

#include "posthouse/buf.h"

#include <assert.h>

/* Whole replies, each line of printable ASCII with CRLF and no more than RFC 5321 4.5.3.1.5 (but for a challenge) allows; forgets them. How
 * many there were. */
static inline size_t check_replies(struct buf *out)
{
	struct str rest = buf_view(out), line;
	size_t replies = 0;
	bool more = false;

	assert(out->n < 40000);
	while (rest.n > 0) {
		size_t n = str_search(rest, S("\r\n"));

		assert(n < rest.n && n >= 4);
		line = str_head(rest, n);
		rest = str_from(rest, n + 2);
		assert(line.p[0] >= '2' && line.p[0] <= '5' && line.p[1] >= '0' && line.p[1] <= '5');
		assert(line.p[3] == ' ' || line.p[3] == '-');
		assert(n <= 510 || str_starts(line, S("334 ")));
		for (size_t i = 0; i < n; i++)
			assert(line.p[i] >= ' ' && line.p[i] <= '~');
		more = line.p[3] == '-';
		replies += !more;
	}
	assert(!more);
	buf_clear(out);
	return replies;
}

#endif
