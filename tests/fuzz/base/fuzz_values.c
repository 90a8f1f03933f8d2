/* fuzz_values.c - small texts of all kinds: what is read is written again as it was. */
#include "fuzz.h"

#include "posthouse/base64.h"
#include "posthouse/date.h"
#include "posthouse/id.h"

static void check_base64(struct arena *a, struct str text)
{
	char *to = arena_alloc(a, text.n + 1);
	struct str bytes;
	size_t n;

	if (base64_decode(a, text, &bytes)) {
		assert(str_eq(base64_encode(a, bytes), text));
		assert(base64_decode_unpadded(to, text, &n) && str_eq(str_make(to, n), bytes));
	}
	if (base64_decode_unpadded(to, text, &n))
		assert(str_starts(base64_encode(a, str_make(to, n)), str_head(text, str_find(text, '='))));
	assert(base64_decode(a, base64_encode(a, text), &bytes) && str_eq(bytes, text));
}

static void check_numbers(struct arena *a, struct str text)
{
	char id_text[ID_TEXT_MAX];
	uint64_t value, again;
	struct buf b;

	if (id_parse(text, &value))
		assert(str_ieq(str_of(id_format(value, id_text)), text) && id_first_of(id_time_ms(value)) <= value);
	if (str_to_u64(text, &value))
		assert(str_ends(text, arena_printf(a, "%llu", (unsigned long long)value)));
	buf_init(&b, 64);
	if (date_parse(text, &value)) {
		date_add(&b, value);
		assert(date_parse(buf_view(&b), &again) && again == value / 1000 * 1000);
	}
	buf_fini(&b);
}

static void check_utf8(struct arena *a, struct str text, unsigned cut)
{
	struct str shown = utf8_shown(a, text);
	struct utf8_check pieces = { 0 };

	utf8_check_feed(&pieces, str_head(text, cut));
	utf8_check_feed(&pieces, str_from(text, cut));
	assert((!pieces.bad && pieces.missing == 0) == utf8_valid(text));
	fuzz_assert_shown(shown);
	assert(str_eq(utf8_shown(a, shown), shown) && shown.n <= 3 * text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	struct arena a = { 0 };

	check_base64(&a, text);
	check_numbers(&a, text);
	check_utf8(&a, text, size > 0 ? data[0] % size : 0);
	arena_fini(&a);
	return 0;
}
