/* subject.c - what people and programs call a message: its Subject as they see it, and its Message-ID. */
#include "text.h"
#include "words.h"

/* The text of an encoded word that words_decode() has left as it is. */
static struct str left_word(struct arena *a, const struct word *w)
{
	struct str text = word_latin(a, w->raw);

	return text.n > 0 ? text : w->text;
}

struct str mail_subject(struct arena *a, const struct header *h)
{
	const struct header_field *field = header_find(h, S("Subject"));
	struct words words;
	struct str all = S("");

	if (!field)
		return all;
	/* The folds go first: white space between two encoded words is no text (RFC 2047 6.2). */
	words_decode(a, text_clean(a, text_from_latin(a, field->value), HEADER_MAX), &words);
	for (size_t i = 0; i < words.n; i++) {
		const struct word *w = &words.at[i];
		bool words_meet = i > 1 && w->raw.n > 0 && words.at[i - 2].raw.n > 0 && str_trim(words.at[i - 1].text).n == 0;

		if (words_meet)
			all.n -= words.at[i - 1].text.n;
		all = arena_printf(a, "%.*s%.*s", STR_ARG(all), STR_ARG(w->raw.n > 0 ? left_word(a, w) : w->text));
	}
	return text_clean(a, all, SUBJECT_KEPT);
}

struct str mail_message_id(struct arena *a, const struct header *h)
{
	const struct header_field *field = header_find(h, S("Message-ID"));

	return field ? text_clean(a, field->value, MESSAGE_ID_KEPT) : S("");
}
