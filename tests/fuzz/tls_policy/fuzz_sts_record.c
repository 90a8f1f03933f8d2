/* The TXT records of MTA-STS at a name, a line each: anybody's zone. */
#include "fuzz.h"

#include "posthouse/tls_policy.h"

#define RECORDS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), line, at[RECORDS], id, chosen;
	struct str_list texts = { .at = at };
	struct arena a = { 0 };
	size_t good = 0, records = 0;

	while (texts.n < RECORDS && str_split(&rest, '\n', &line)) {
		struct str why = sts_record_read(&a, line, &id);

		at[texts.n++] = line;
		records += !str_eq(why, S("it does not begin with v=STSv1;"));
		good += why.n == 0;
		assert((why.n == 0) == (id.n > 0) && id.n <= STS_ID_MAX);
		assert(why.n > 0 || str_starts(line, S("v=STSv1")));
	}
	assert((sts_record_choose(&a, &texts, &chosen).n == 0) == (records == 1 && good == 1));
	arena_fini(&a);
	return 0;
}
