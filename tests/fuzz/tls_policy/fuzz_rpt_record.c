/* fuzz_rpt_record.c - TXT records at _smtp._tls: places for reports have nothing that could end a line or a URI. An input is records
 * with line ends between. */
#include "fuzz.h"

#include "posthouse/tls_policy.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), texts[8];
	struct str_list list = { texts, 0 };
	struct rpt_record record;
	struct arena a = { 0 };

	if (size > 4096)
		return 0;
	while (list.n < 8 && str_split(&rest, '\n', &texts[list.n]))
		list.n++;
	rpt_record_read(&a, list, &record);
	assert(record.n <= RPT_URIS_MAX);
	for (size_t i = 0; i < record.n; i++) {
		struct str target = record.at[i].target;

		for (size_t j = 0; j < target.n; j++)
			assert((unsigned char)target.p[j] > ' ' && target.p[j] != 0x7f);
		assert(record.at[i].https ? str_istarts(target, S("https://")) : str_find(target, '@') < target.n);
	}
	arena_fini(&a);
	return 0;
}
