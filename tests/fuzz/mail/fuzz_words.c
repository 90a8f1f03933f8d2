/* fuzz_words.c - encoded words, in all the ways in which readers find them; display names and subjects made of them. */
#include "fuzz.h"
#include "phrase.h"
#include "text.h"
#include "words.h"

#include "posthouse/mail.h"

static void check_words(struct arena *a, struct str text)
{
	struct words words;
	struct str charset, bytes;
	size_t length = word_length(text, false), exact = word_length(text, true);

	assert(length <= text.n && exact <= text.n);
	if (exact > 0)
		assert(word_bytes(a, str_head(text, exact), &charset, &bytes) ? bytes.n <= exact : true);
	assert(utf8_valid(word_latin(a, str_head(text, length))));
	assert(utf8_valid(text_from_latin(a, text)));
	words_decode(a, text, &words); /* one that no display name can have is written again as base64, which is longer than Q */
	for (size_t i = 0; i < words.n; i++)
		assert(words.at[i].raw.n <= 2 * text.n + 16 && words.at[i].text.n <= 3 * text.n + 3);
}

/* One clean line; the second time nothing changes. */
static void check_clean(struct arena *a, struct str text)
{
	struct str clean = text_clean(a, text, 200), ascii = text_clean_ascii(a, text, 200);

	fuzz_assert_one_line(clean);
	assert(utf8_valid(clean) && clean.n <= 203 && str_eq(text_clean(a, clean, 203), clean));
	assert(str_is_ascii(ascii) && ascii.n <= 203);
	fuzz_assert_one_line(ascii);
	assert(!utf8_valid(text) || utf8_valid(text_from_unitext(a, text)));
}

/* Behind the reading of a header: neither a text between quotation marks nor any other piece has a '"' of its own. */
static struct str without_quotes(struct arena *a, struct str text)
{
	char *out = arena_alloc(a, text.n + 1);
	size_t used = 0;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '"')
			out[used++] = text.p[i];
	return str_make(out, used);
}

/* What is written is read by everybody as what was shown. A name at fault is not written: the message is refused, or the name
 * left out. */
static void check_phrase(struct arena *a, struct str text)
{
	struct fixup_input in = { .hostname = S("relay.example.org") };
	struct str_list addresses = { NULL, 0 };
	struct phrase p, again;
	struct str written;

	phrase_read(a, &in, text, &p);
	phrase_addresses(a, &p, &addresses);
	assert(addresses.n <= text.n + 1);
	if (p.fault.n > 0)
		return;
	written = phrase_write(a, &p);
	for (size_t i = 0; i < written.n; i++)
		assert(written.p[i] != '\0' && (written.p[i] != '\r' || str_starts(str_from(written, i), S("\r\n "))) &&
		       (written.p[i] != '\n' || (i > 0 && written.p[i - 1] == '\r')));
	phrase_read(a, &in, without_quotes(a, written), &again);
	assert(again.fault.n == 0 && str_eq(again.shown, p.shown));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = str_make(data, size);
	struct arena a = { 0 };

	if (size > 4096)
		return 0;
	check_words(&a, text);
	check_clean(&a, text);
	check_phrase(&a, text);
	arena_fini(&a);
	return 0;
}
