/* words.c - texts on lines of limited width. */
#include "cli.h"

#define WIDTH 80

struct str words_head(struct str text, size_t room)
{
	size_t space;

	if (text.n <= room)
		return text;
	space = str_rfind(str_head(text, room + 1), ' ');
	return str_head(text, space <= room ? space : str_find(text, ' '));
}

void print_words(FILE *out, struct str text, unsigned at, unsigned indent)
{
	struct str word;

	while (str_split(&text, ' ', &word)) {
		if (at + 1 + word.n > WIDTH && at > indent) {
			fprintf(out, "\n%*s", (int)indent, "");
			at = indent;
		} else if (at > indent) {
			fputc(' ', out);
			at++;
		}
		fprintf(out, "%.*s", STR_ARG(word));
		at += (unsigned)word.n;
	}
	fputc('\n', out);
}
