/* fuzz.h - what fuzz targets share. A target states what a parser promises by assert(), which stays in every build. */
#ifndef FUZZ_H
#define FUZZ_H

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/utf8.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The next line of the input, without its end; "" when there is none. */
static inline struct str fuzz_line(struct str *rest)
{
	struct str line = S("");

	str_split(rest, '\n', &line);
	return line;
}

/* The next byte of the input; 0 when there is none. */
static inline unsigned fuzz_byte(struct str *rest)
{
	unsigned byte = rest->n > 0 ? (unsigned char)rest->p[0] : 0;

	*rest = str_from(*rest, 1);
	return byte;
}

/* One line of text in which nothing can hide: what people are shown. */
static inline void fuzz_assert_shown(struct str text)
{
	uint32_t c;

	for (size_t i = 0, n; i < text.n; i += n) {
		n = utf8_char(str_from(text, i), &c);
		assert(n > 0 && !utf8_is_hidden(c));
	}
}

/* No byte that can end a line or a text. */
static inline void fuzz_assert_one_line(struct str text)
{
	assert(str_find(text, '\r') == text.n && str_find(text, '\n') == text.n && str_find(text, '\0') == text.n);
}

#endif
