/* fuzz_address.c - address lists: what is found is one address each, in its one form. */
#include "posthouse/mail.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str_list found, again;

	if (header_addresses(&a, str_make(data, size), &found)) {
		for (size_t i = 0; i < found.n; i++) {
			if (!header_addresses(&a, found.at[i], &again) || again.n != 1 || !str_eq(again.at[0], found.at[i]))
				abort();
			/* one @, and nothing by which another reader could see another address */
			size_t at = str_find(found.at[i], '@');
			if (at == 0 || at != str_rfind(found.at[i], '@') ||
			    strcspn(arena_cstr(&a, found.at[i]), "<>,;\r\n\t()\\") != found.at[i].n)
				abort();
		}
	}
	arena_fini(&a);
	return 0;
}
