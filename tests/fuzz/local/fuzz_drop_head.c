/* fuzz_drop_head.c - the head of a drop file, which any user of the machine writes: what is read can be written again, and is then
 * read as the same. */
#include "posthouse/local.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(struct str a, struct str b)
{
	if (!str_eq(a, b))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = { 0 };
	struct local_message m, again;
	size_t length = 0, length_again = 0;
	struct buf b;

	buf_init(&b, 2 * n + 64);
	if (drop_head_read(&a, str_make(data, n), &m, &length).class == OK) {
		if (length == 0 || length > n || !local_message_valid(&m))
			abort();
		drop_head_write(&b, &m);
		if (drop_head_read(&a, buf_view(&b), &again, &length_again).class != OK || length_again != b.n ||
		    again.has_sender != m.has_sender || again.recipients_n != m.recipients_n)
			abort();
		same(again.sender, m.sender);
		same(again.parameters, m.parameters);
		for (size_t i = 0; i < m.recipients_n; i++) {
			same(again.recipients[i].address, m.recipients[i].address);
			same(again.recipients[i].parameters, m.recipients[i].parameters);
		}
	}
	buf_fini(&b);
	arena_fini(&a);
	return 0;
}
