/* fuzz_texts.c - DMARC, BIMI and CAA records of others: what is mended can be read. */
#include "posthouse/dmarc.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str text = str_make(data, size), why, mended;
	struct dmarc_record record;
	struct caa caa;

	if (size > 4096)
		return 0;
	if (dmarc_parse(&a, text, &record, &why) && (!dmarc_likely(text) || record.pct > 100))
		abort();
	mended = dmarc_mended(&a, text, S("mailto:a@b.test"));
	if (!dmarc_parse(&a, mended, &record, &why) || record.rua.n > size + 1)
		abort();
	bimi_logo(&a, text, &why);
	if (caa_read(text, &caa) && (caa.tag.n == 0 || caa.value.n + caa.tag.n + 2 > size))
		abort();
	if (domains_align(text, text, false) != domains_align(text, text, true) && organisational_domain(text).n > size)
		abort();
	arena_fini(&a);
	return 0;
}
