/* fuzz_cache.c - what is kept of strangers' answers, as JSON: facts that come from it are written and read again as they are. And
 * the certificates of servers, as PEM. */
#include "cache.h"
#include "certificate.h"
#include "fuzz.h"

static void check_dns(struct arena *a, json_t *j)
{
	struct fact_dns one = { 0 }, other = { 0 };
	json_t *again;

	if (!cache_to_dns(a, j, &one))
		return;
	again = cache_from_dns(&one);
	assert(again && cache_to_dns(a, again, &other) && one.n == other.n && one.state == other.state);
	json_decref(again);
}

static void check_probe(struct arena *a, json_t *j)
{
	struct fact_probe one = { 0 }, other = { 0 };
	json_t *again;

	if (!cache_to_probe(a, j, &one))
		return;
	again = cache_from_probe(&one);
	assert(again && cache_to_probe(a, again, &other) && str_eq(one.greeting, other.greeting));
	json_decref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	struct certificate c;
	struct arena a = { 0 };
	json_t *j;

	if (size > 16384)
		return 0;
	if (str_starts(text, S("-"))) {
		if (certificate_facts(&a, text, S("-"), &c))
			for (size_t i = 0; i < c.names.n; i++)
				assert(utf8_valid(c.names.at[i]) || !str_is_ascii(c.names.at[i]));
	} else if ((j = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL))) {
		check_dns(&a, j);
		check_probe(&a, j);
		json_decref(j);
	}
	arena_fini(&a);
	return 0;
}
