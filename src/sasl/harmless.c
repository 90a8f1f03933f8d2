/* harmless.c - words of a server that a log can have. */
#include "posthouse/sasl.h"

enum {
	SHOWN_MAX = 300, /* bytes */
	PIECE_MAX = 40,  /* of letters and digits: longer ones are no words */
};

/* Of base64, with either alphabet of RFC 4648. */
static bool is_base64(char c)
{
	return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') || memchr("+/=_-", c, 5);
}

/* How many bytes at the front are a secret, or look like one. */
static size_t secret_length(struct str text, const struct sasl_credentials *c)
{
	size_t n = 0;

	if (c->token.n > 0 && str_starts(text, c->token))
		return c->token.n;
	if (c->password.n > 0 && str_starts(text, c->password))
		return c->password.n;
	while (n < text.n && is_base64(text.p[n]))
		n++;
	return n > PIECE_MAX ? n : 0;
}

struct str sasl_harmless(struct arena *a, const struct sasl_credentials *c, struct str challenge)
{
	static const struct str left_out = S("(left out)");
	char *p = arena_alloc(a, SHOWN_MAX + left_out.n);
	size_t n = 0, skip;

	for (size_t i = 0; i < challenge.n && n < SHOWN_MAX; i += skip) {
		skip = secret_length(str_from(challenge, i), c);
		if (skip > 0) {
			memcpy(p + n, left_out.p, left_out.n);
			n += left_out.n;
			continue;
		}
		p[n++] = (char)(challenge.p[i] >= ' ' && challenge.p[i] <= '~' ? challenge.p[i] : '?');
		skip = 1;
	}
	return str_make(p, n);
}
