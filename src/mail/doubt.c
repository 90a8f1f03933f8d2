/* doubt.c - what the grammar of addresses allows and programs parse alike, but people or sloppy programs do not see alike. */
#include "address.h"

#include "text.h"
#include "words.h"

bool comment_is_doubtful(struct str comment)
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

bool words_are_doubtful(struct arena *a, struct str text)
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

bool address_is_doubtful(struct str address)
{
	static const struct {
		uint32_t first, last;
	} doubtful[] = {
		{ 0x80, 0xa0 },   /* control characters; a space that is none */
		{ 0xad, 0xad },   /* soft hyphen */
		{ 0x34f, 0x34f }, /* not seen, as the following ones */
		{ 0x61c, 0x61c },   { 0x115f, 0x1160 }, { 0x17b4, 0x17b5 }, { 0x180b, 0x180f },
		{ 0x2000, 0x200f },                     /* spaces, joiners, directions */
		{ 0x2024, 0x2024 },                     /* one dot leader */
		{ 0x2028, 0x202f },                     /* line ends, directions */
		{ 0x205f, 0x206f }, { 0x3000, 0x3002 }, /* space, comma, full stop */
		{ 0x3164, 0x3164 }, { 0xfe00, 0xfe0f }, /* variants of what stands before */
		{ 0xfe52, 0xfe52 },                     /* small full stop */
		{ 0xfe6b, 0xfe6b },                     /* small @ */
		{ 0xfeff, 0xfeff }, { 0xff0e, 0xff0e }, /* full-width full stop */
		{ 0xff20, 0xff20 },                     /* full-width @ */
		{ 0xff61, 0xff61 }, { 0xffa0, 0xffa0 }, { 0xfff0, 0xffff }, { 0xe0000, 0xe0fff },
	};
	for (size_t i = 0, n; i < address.n; i += n) {
		n = utf8_sequence(str_from(address, i));
		if (n < 2) {
			n = 1;
			continue;
		}
		uint32_t c = (unsigned char)address.p[i] & (0xffu >> (n + 1));
		for (size_t k = 1; k < n; k++)
			c = c << 6 | ((unsigned char)address.p[i + k] & 0x3f);
		for (size_t k = 0; k < sizeof doubtful / sizeof *doubtful; k++) {
			if (c >= doubtful[k].first && c <= doubtful[k].last)
				return true;
		}
	}
	return false;
}
