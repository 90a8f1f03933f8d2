/* fuzz_text.c - what people type as ages and times, and the fields of events, which have texts of peers in them. The first byte
 * chooses the time of the clock. */
#include "find.h"
#include "fuzz.h"
#include "trace.h"

static void check_fields(struct arena *a, struct str text)
{
	struct event_fields f = event_fields_read(a, text);
	json_t *object = event_fields_json(&f);
	char *dumped = json_dumps(object, 0);

	assert(f.n <= text.n && dumped && json_object_size(object) <= f.n);
	for (size_t i = 0; i < f.n; i++) {
		assert(f.at[i].value.n <= text.n);
		assert(f.at[i].key.n == 0 || event_field(&f, arena_cstr(a, f.at[i].key)).n <= text.n);
	}
	free(dumped);
	json_decref(object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	uint64_t now = 1795301717000 + (uint64_t)fuzz_byte(&text) * 3600000, ms = 0, again;
	struct arena a = { 0 };

	if (size > 4096)
		return 0;
	if (read_duration(text, 7 * 86400000, &ms))
		assert(ms <= 7 * 86400000);
	if (read_when(text, now, &ms))
		assert(read_when(text, now, &again) && again == ms && str_is_ascii(text));
	check_fields(&a, text);
	arena_fini(&a);
	return 0;
}
