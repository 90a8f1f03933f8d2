/* verdict.c - how something went. */
#include "posthouse/verdict.h"
#include "posthouse/arena.h"

size_t enhanced_length(struct str s)
{
	size_t i = 1;

	if (s.n < 5 || (s.p[0] != '2' && s.p[0] != '4' && s.p[0] != '5'))
		return 0;
	for (unsigned part = 0; part < 2; part++) {
		size_t digits = 0;

		if (i >= s.n || s.p[i++] != '.')
			return 0;
		for (; digits < 3 && i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
			digits++;
		if (digits == 0)
			return 0;
	}
	return i;
}

struct verdict verdict_keep(struct arena *a, struct verdict v)
{
	v.enhanced = arena_str(a, v.enhanced);
	v.text = arena_str(a, v.text);
	return v;
}
