/* lines.c - lines of our own texts. */
#include "lines.h"

#include <assert.h>

#define WIDTH       72
#define DIVIDE_LINE 900 /* with an indent and CRLF below 998 */

void lines_put(struct buf *b, struct str s)
{
	bool fits = buf_add(b, s);

	assert(fits); /* what goes in is bounded piece by piece */
}

void lines_printf(struct buf *b, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	bool fits = buf_vprintf(b, format, arguments);
	va_end(arguments);
	assert(fits);
	lines_put(b, S("\r\n"));
}

void lines_wrap(struct buf *b, const char *first, const char *indent, struct str words)
{
	struct str word;
	size_t column = strlen(first);

	lines_put(b, str_of(first));
	for (bool begun = false; str_split(&words, ' ', &word); begun = true) {
		if (begun && column + 1 + word.n > WIDTH) {
			lines_put(b, S("\r\n"));
			lines_put(b, str_of(indent));
			column = strlen(indent);
		} else if (begun) {
			lines_put(b, S(" "));
			column++;
		}
		for (size_t n; column + word.n > DIVIDE_LINE; word = str_from(word, n)) {
			for (n = DIVIDE_LINE - column; n > 0 && ((unsigned char)word.p[n] & 0xc0) == 0x80;)
				n--;
			lines_put(b, str_head(word, n));
			lines_put(b, S("\r\n"));
			lines_put(b, str_of(indent));
			column = strlen(indent);
		}
		lines_put(b, word);
		column += word.n;
	}
	lines_put(b, S("\r\n"));
}
