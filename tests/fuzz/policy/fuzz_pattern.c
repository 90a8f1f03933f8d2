/* fuzz_pattern.c - "pattern\naddress": a well-formed pattern never matches what its domain does not end; rewriting takes what matches. */
#include "posthouse/address.h"
#include "posthouse/policy.h"
#include "schema.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str input = str_make(data, n), pattern = str_head(input, str_find(input, '\n')),
		   address = str_from(input, pattern.n + 1);
	struct arena a = { 0 };
	struct str known = address_with_canonical_domain(&a, address); /* without a dot at its end */
	bool valid = format_pattern.valid(pattern), matches = pattern_matches(pattern, known);
	struct str domain = str_from(pattern, str_rfind(pattern, '@') + 1);
	struct str_list list = { &pattern, 1 };
	struct cfg_senders entry = { .user = S("user"), .addresses = list };
	struct cfg_rewrite rule = { .sender = pattern, .to = S("@new.example") };
	struct config c = {
		.hostname = S("relay.example.org"), .senders = &entry, .senders_n = 1, .rewrite = &rule, .rewrite_n = 1
	};
	struct str rewritten = rewrite_address(&c, &a, true, false, address);

	if (valid && matches && !str_eq(pattern, S("*")) && !str_iends(known, domain))
		abort();
	if (sender_allowed(&c, S("user"), address) && !matches)
		abort();
	if (valid && rewritten.p != address.p && (!matches || !str_iends(rewritten, S("@new.example"))))
		abort();
	arena_fini(&a);
	return 0;
}
