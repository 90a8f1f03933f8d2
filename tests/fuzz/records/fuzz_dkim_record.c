/* fuzz_dkim_record.c - a DKIM record of somebody, beside ours: it is judged, and only ours is good. */
#include "posthouse/dkim_record.h"

#include <stdlib.h>

#define OURS "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str text = str_make(data, size);
	struct dkim_judgement j = dkim_record_judge(&a, text, S(OURS), size % 2);

	if (size > 8192)
		return 0;
	if ((j.grade == DKIM_RECORD_GOOD) != (j.words.n == 0))
		abort();
	if (j.grade < DKIM_RECORD_BAD && str_search(text, S("=")) == text.n)
		abort();
	if (dkim_record_rsa_bits(&a, text) > 65536 + (dkim_record_likely(text) ? 0 : 1))
		abort();
	arena_fini(&a);
	return 0;
}
