/* relaxed_reference.h - the canonical body by the simplest means. */
#ifndef POSTHOUSE_TESTS_RELAXED_REFERENCE_H
#define POSTHOUSE_TESTS_RELAXED_REFERENCE_H

#include "posthouse/arena.h"

/* RFC 6376 3.4.4, written down without thought of speed: the reference for the stream. `body` ends in CRLF. */
static inline struct str slow_canonical(struct arena *a, struct str body)
{
	char *out = arena_alloc(a, body.n + 2);
	size_t n = 0;

	for (size_t i = 0; i < body.n; i++) {
		char c = body.p[i] == '\t' ? ' ' : body.p[i];
		if (c == '\n' && n > 0 && out[n - 1] == '\r') {
			n--;
			if (n > 0 && out[n - 1] == ' ')
				n--;
			out[n++] = '\r';
		}
		if (c != ' ' || n == 0 || out[n - 1] != ' ')
			out[n++] = c;
	}
	while (n >= 4 && memcmp(out + n - 4, "\r\n\r\n", 4) == 0)
		n -= 2;
	return n == 2 ? S("") : str_make(out, n);
}

#endif
