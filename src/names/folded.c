/* folded.c - texts in the form in which a person takes two of them for the same. */
#include "posthouse/names.h"

#include <stdlib.h>
#include <unicase.h>

struct str text_folded(struct arena *a, struct str text)
{
	struct str folded;
	uint8_t *made;
	size_t n;

	if (str_is_ascii(text) || !utf8_valid(text))
		return arena_lower(a, text);
	made = u8_casefold((const uint8_t *)text.p, text.n, NULL, UNINORM_NFKC, NULL, &n);
	folded = made ? arena_str(a, str_make(made, n)) : arena_lower(a, text);
	free(made);
	return folded;
}
