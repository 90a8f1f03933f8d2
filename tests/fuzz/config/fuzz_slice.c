/* fuzz_slice.c - any bytes as a role's slice: NULL, or a configuration that can be read, encoded again to the same bytes, and freed.
 * The first byte is the role; the header, which only the right build knows, is put before the rest. */
#include "schema.h"

#include "posthouse/ipc.h"
#include "posthouse/policy.h"

#include <stdlib.h>

#define HEADER_SIZE 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	unsigned role = n > 0 ? data[0] % ROLE_COUNT : 0;
	struct config none = { 0 }, *c;
	struct buf b, again;

	buf_init(&b, 1 << 24);
	buf_init(&again, 1 << 24);
	if (!config_slice_encode(&none, role, &b) || b.n < HEADER_SIZE)
		abort();
	b.n = HEADER_SIZE;
	if (n > 1)
		buf_add(&b, str_make(data + 1, n - 1));
	c = config_slice_decode(role, buf_view(&b));
	if (c) {
		if (!config_slice_encode(c, role, &again) || !str_eq(buf_view(&b), buf_view(&again)))
			abort();
		(void)sender_allowed(c, S("alice"), S("a@example.org"));
		buf_clear(&again);
		config_dump(c, &again);
	}
	config_free(c);
	buf_fini(&b);
	buf_fini(&again);
	return 0;
}
