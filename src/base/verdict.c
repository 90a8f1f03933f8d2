/* verdict.c - how something went. */
#include "posthouse/verdict.h"
#include "posthouse/arena.h"

struct verdict verdict_keep(struct arena *a, struct verdict v)
{
	v.enhanced = arena_str(a, v.enhanced);
	v.text = arena_str(a, v.text);
	return v;
}
