/* fuzz_match.c - what `find` looks for: lines sender, recipient, subject, Message-ID, then those of a message and its ORCPT. What
 * is an address of the message is found by itself. */
#include "fuzz.h"
#include "match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size), orcpt, address;
	struct find find = { 0 };
	struct envelope e = { 0 };
	struct matcher m;
	struct arena a = { 0 };

	if (size > 2048)
		return 0;
	find.sender = fuzz_line(&rest);
	find.recipient = fuzz_line(&rest);
	find.subject = fuzz_line(&rest);
	find.message_id = fuzz_line(&rest);
	e.sender = fuzz_line(&rest);
	e.subject = fuzz_line(&rest);
	e.message_id = fuzz_line(&rest);
	address = fuzz_line(&rest);
	orcpt = fuzz_line(&rest);
	matcher_init(&m, &a, &find);
	(void)message_fits(&m, &a, &e, 1795301717000);
	(void)recipient_fits(&m, &a, address, orcpt);
	assert(orcpt_address(&a, orcpt).n <= orcpt.n && match_id(&a, e.message_id).n <= 18 * e.message_id.n + 18);
	if (str_is_ascii(address) && str_find(address, '*') == address.n && str_find(address, '<') == address.n &&
	    str_find(address, '>') == address.n && str_find(address, '@') > 0 && str_find(address, '@') + 1 < address.n &&
	    str_find(address, '@') == str_rfind(address, '@') && address.p[str_find(address, '@') + 1] != '.') {
		find = (struct find){ .recipient = address };
		matcher_init(&m, &a, &find);
		assert(recipient_fits(&m, &a, address, S("")));
	}
	arena_fini(&a);
	return 0;
}
