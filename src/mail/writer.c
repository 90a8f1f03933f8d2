/* writer.c - text in header fields: which of its words are encoded, and with what around them. */
#include "writer.h"

#include "ascii.h"
#include "encoded.h"
#include "words.h"

#define WORD_LONG 900 /* a longer word does not always fit a line by itself */

bool writer_must_encode(const struct writer *w, struct str word)
{
	return ((w->what & ASCII_8BIT) && text_is_odd(word)) || ((w->what & ASCII_LONG) && word.n > WORD_LONG);
}

void writer_put(struct writer *w, struct str s)
{
	buf_add(&w->out, s);
}

size_t writer_skip_wsp(struct str s, size_t at)
{
	while (at < s.n && is_wsp(s.p[at]))
		at++;
	return at;
}

size_t writer_quoted_end(struct str s, size_t at)
{
	for (at++; at < s.n && s.p[at] != '"'; at++)
		at += s.p[at] == '\\';
	return at < s.n ? at + 1 : s.n;
}

/* Where the word that begins at `at` ends. */
static size_t word_end(struct str s, size_t at, enum form form)
{
	while (at < s.n && !is_wsp(s.p[at]))
		at = form == PHRASE && s.p[at] == '"' ? writer_quoted_end(s, at) : at + 1;
	return at;
}

struct str writer_unquote(struct arena *a, struct str s, enum form form)
{
	char *out = arena_alloc(a, s.n + 1);
	bool quoted = form == COMMENT;
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (form == PHRASE && s.p[i] == '"') {
			quoted = !quoted;
			continue;
		}
		if (form != PLAIN && quoted && s.p[i] == '\\' && i + 1 < s.n)
			i++;
		out[n++] = s.p[i];
	}
	return str_make(out, n);
}

/* Encoded words for text[from, to). RFC 2047 5 (3): in a phrase they have white space around them. */
static void put_encoded(struct writer *w, struct str text, size_t from, size_t to, enum form form)
{
	struct str out = buf_view(&w->out);

	if (form == PHRASE && out.n > 0 && !is_wsp(out.p[out.n - 1]))
		writer_put(w, S(" "));
	encoded_put_words(&w->out, writer_unquote(w->arena, str_head(str_from(text, from), to - from), form));
}

/* Text, of which everything from the first word that needs it to the last is encoded. White space between two encoded words
 * is not shown (RFC 2047 6.2), so next to a word that was encoded before it becomes part of the new one. */
void writer_put_words(struct writer *w, struct str text, enum form form)
{
	size_t done = 0, from = 0, to = 0, encoded_to = 0, end;

	for (size_t at = writer_skip_wsp(text, 0); at < text.n; at = writer_skip_wsp(text, end)) {
		end = word_end(text, at, form);
		struct str word = str_head(str_from(text, at), end - at);
		bool next_to = encoded_to > 0 && writer_skip_wsp(text, encoded_to) == at;

		if (word_length(word, true) == word.n) {
			if (to > done) {
				writer_put(w, str_head(str_from(text, done), from - done));
				bool glued = writer_skip_wsp(text, to) == at;
				put_encoded(w, text, from, glued ? at : to, form);
				writer_put(w, glued ? S(" ") : S(""));
				done = glued ? at : to;
			}
			encoded_to = end;
		} else if (writer_must_encode(w, word)) {
			if (to <= done) {
				from = next_to ? encoded_to : at;
				if (next_to) {
					writer_put(w, str_head(str_from(text, done), from - done));
					writer_put(w, S(" "));
					done = from;
				}
			}
			to = end;
		}
	}
	if (to > done) {
		writer_put(w, str_head(str_from(text, done), from - done));
		put_encoded(w, text, from, to, form);
		done = to;
	}
	writer_put(w, str_from(text, done));
}

size_t writer_comment_end(struct str s, size_t at)
{
	size_t depth = 0;

	for (; at < s.n; at++) {
		if (s.p[at] == '\\')
			at++;
		else if (s.p[at] == '(')
			depth++;
		else if (s.p[at] == ')' && --depth == 0)
			return at + 1;
	}
	return s.n;
}

/* Each run of text between the parentheses by itself. */
void writer_put_comment(struct writer *w, struct str comment)
{
	size_t from = 0;

	for (size_t i = 0; i < comment.n; i++) {
		if (comment.p[i] == '\\') {
			i++;
		} else if (comment.p[i] == '(' || comment.p[i] == ')') {
			writer_put_words(w, str_head(str_from(comment, from), i - from), COMMENT);
			writer_put(w, str_make(comment.p + i, 1));
			from = i + 1;
		}
	}
	writer_put_words(w, str_from(comment, from), COMMENT);
}
