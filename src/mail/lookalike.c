/* lookalike.c - what the grammar of addresses allows and programs parse alike, but people or sloppy programs do not see alike. */
#include "address.h"

#include "text.h"
#include "words.h"

bool comment_is_lookalike(struct str comment)
{
	for (size_t i = 0; i < comment.n; i++) {
		char c = comment.p[i];
		if (c == '<' || c == '>')
			return true;
		if (c == '@' && i > 0 && i + 1 < comment.n && is_atext(comment.p[i - 1]) && is_atext(comment.p[i + 1]))
			return true;
	}
	return false;
}

bool words_are_lookalike(struct arena *a, struct str text)
{
	struct words w;

	if (str_search(text, S("=?")) == text.n)
		return false;
	words_decode(a, text, &w);
	for (size_t i = 0; i < w.n; i++) {
		for (size_t k = 0; k < w.at[i].text.n; k++) {
			char c = w.at[i].text.p[k];
			if (c == '<' || c == '>' || (is_control(c) && c != '\t' && c != '\r' && c != '\n'))
				return true;
		}
	}
	return w.unknown.n > 0;
}
