/* fuzz_words.c - a next hop's reply against the table of meanings. The first three bytes choose step, side and code; the rest is its text. */
#include "reply_class.h"
#include "server_words.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char copy[SERVER_WORDS_MAX];
	struct place place;
	struct verdict v;
	struct meaning m;
	struct str words;

	if (size < 3)
		return 0;
	place = (struct place){ .step = data[0] % 5, .mx = data[1] & 1, .null_sender = data[1] & 2 };
	place.server = str_head(str_make(data + 3, size - 3), 64);
	v = (struct verdict){ .code = (uint16_t)(400 + data[2] % 200), .text = str_make(data + 3, size - 3) };
	v.class = v.code >= 500 ? PERM : TEMP;
	words = server_words(v.text, copy);
	assert(words.n > 0 && words.n <= sizeof copy && words.p[0] == ' ');
	for (size_t i = 0; i < words.n; i++)
		assert((words.p[i] < 'A' || words.p[i] > 'Z') && (i == 0 || words.p[i] != ' ' || words.p[i - 1] != ' '));
	m = reply_class(place, v);
	assert(m.trouble < TROUBLES && m.actor < ACTORS && m.scope < SCOPES);
	assert(m.hint < HINTS);
	assert(m.waits || v.class == PERM);
	assert(m.pause_ms <= 24 * 3600 * 1000ull);
	assert(meaning_trouble(meaning_pack(m)) == m.trouble);
	(void)reply_class_too_many(place.step, v);
	return 0;
}
