/* fuzz_identity.c - the file that names a node: what is read is read again from what would be written. */
#include "fuzz.h"
#include "identity_form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct identity i, again;
	char text[IDENTITY_BYTES_MAX];

	if (!identity_scan(str_make(data, size), &i))
		return 0;
	assert(identity_scan(str_make(text, identity_form(&i, text)), &again));
	assert(memcmp(&i, &again, sizeof i) == 0);
	return 0;
}
