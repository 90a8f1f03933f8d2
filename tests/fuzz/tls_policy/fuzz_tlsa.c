/* The set of TLSA records of a host: anybody's zone. A byte before each record is its length. */
#include "fuzz.h"

#include "posthouse/tls_policy.h"

#define RECORDS 130 /* more than are looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), rdata[RECORDS] = { 0 };
	const struct tlsa *set;
	struct arena a = { 0 };
	size_t n = 0, usable;
	enum tlsa_state state;

	while (rest.n > 0 && n < RECORDS) {
		size_t length = fuzz_byte(&rest);

		rdata[n++] = str_head(rest, length);
		rest = str_from(rest, length);
	}
	state = tlsa_read_set(&a, rdata, n, &set, &usable);
	assert(usable <= n && usable <= TLSA_RECORDS_MAX);
	assert(state == (n == 0 ? TLSA_NONE : usable > 0 ? TLSA_USABLE : TLSA_UNUSABLE));
	for (size_t i = 0; i < usable; i++) {
		assert(set[i].usage == TLSA_DANE_TA || set[i].usage == TLSA_DANE_EE);
		assert(set[i].selector <= TLSA_PUBLIC_KEY && set[i].matching_type <= TLSA_SHA2_512 && set[i].data.n > 0);
	}
	arena_fini(&a);
	return 0;
}
