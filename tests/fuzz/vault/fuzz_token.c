/* fuzz_token.c - answers of a provider's token server: lines "name value"; the first three bytes are status and times. What is
 * told to people has no token in it. */
#include "fuzz.h"
#include "token_answer.h"

#define FIELDS_MAX 16

static void check(const struct token_answer *t, const struct msg_fetched *m)
{
	struct str why = t->why, word;

	assert(t->outcome <= TOKEN_PERSON && (t->outcome == TOKEN_GRANTED) == (t->why.n == 0));
	if (t->outcome == TOKEN_GRANTED) {
		assert(t->access_token.n > 0 && t->expires_s >= 60 && t->expires_s <= 86400);
		assert(m->status >= 200 && m->status < 300);
		return;
	}
	assert(why.n < 1000);
	while (str_split(&why, ' ', &word))
		assert(word.n <= 60);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size);
	struct rec_json_field fields[FIELDS_MAX];
	struct msg_fetched m = { .verdict = ok(), .fields = { .at = fields } };
	struct token_answer t;
	struct arena a = { 0 };

	m.status = 100 + 3 * fuzz_byte(&rest);
	m.retry_after_ms = 1000 * fuzz_byte(&rest);
	m.date = 1795301717000 + 60000 * (uint64_t)fuzz_byte(&rest);
	while (rest.n > 0 && m.fields.n < FIELDS_MAX) {
		struct str line = fuzz_line(&rest), name = str_head(line, str_find(line, ' '));

		fields[m.fields.n++] = (struct rec_json_field){ .name = name, .value = str_from(line, name.n + 1) };
	}
	t = token_answer(&a, ok(), &m, 1795301717000);
	check(&t, &m);
	arena_fini(&a);
	return 0;
}
