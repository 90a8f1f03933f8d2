/* fuzz_results.c - the file of results that waited for the database when the process ended: what is read is what would be written. */
#include "fuzz.h"
#include "results_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kept_results k;
	struct arena a = { 0 };
	struct buf b;

	if (results_read(&a, str_make(data, size), &k)) {
		buf_init(&b, size);
		assert(results_begin(&b));
		for (size_t i = 0; i < k.n; i++)
			assert(results_add(&b, &k.outcomes[i]));
		assert(str_eq(buf_view(&b), str_make(data, size)));
		buf_fini(&b);
	}
	arena_fini(&a);
	return 0;
}
