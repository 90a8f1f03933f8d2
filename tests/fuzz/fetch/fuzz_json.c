/* fuzz_json.c - the answer of an HTTPS server, as JSON. */
#include "json.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool started;
	struct json j;

	if (!started)
		json_start();
	started = true;
	json_read(&j, str_make(data, size));
	assert(j.n <= JSON_MEMBERS_MAX);
	for (size_t i = 0; i < j.n; i++) {
		assert(j.fields[i].name.n <= JSON_NAME_MAX && j.fields[i].value.n <= JSON_VALUE_MAX);
		for (size_t k = 0; k < i; k++)
			assert(!str_eq(j.fields[k].name, j.fields[i].name));
	}
	json_fini(&j);
	return 0;
}
