/* author_peer.c - what becomes of From values, for author_peer.py: each line of the input is a value in hexadecimal, each line of the output
 * "refused WHY", or the stored value in hexadecimal. The login owns al@bench.test alone, as it would be in submission. With the argument
 * "addresses" it owns all, and the output has the addresses, with spaces between. */
#include "posthouse/mail.h"

#include <stdio.h>
#include <stdlib.h>

#define OWNED S("al@bench.test")

/* Decoded in place; the number of bytes. */
static size_t unhex(char *line)
{
	size_t n = 0;
	char pair[3] = { 0 };

	for (const char *p = line; p[0] > ' ' && p[1] > ' '; p += 2) {
		memcpy(pair, p, 2);
		line[n++] = (char)strtoul(pair, NULL, 16);
	}
	return n;
}

static bool owns_all(const struct str_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (!str_ieq(list->at[i], OWNED))
			return false;
	}
	return true;
}

static void print_hexadecimal(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		printf("%02x", (unsigned char)text.p[i]);
}

static void answer(struct str value, bool addresses)
{
	struct arena a = { 0 };
	struct fixup_input in = { .section = arena_printf(&a, "From:%.*s\r\n", STR_ARG(value)),
				  .hostname = S("relay.bench.test"),
				  .id = 1,
				  .envelope_sender = OWNED,
				  .domain = S("bench.test") };
	struct fixup_result r;
	struct verdict v = mail_fixup(&a, &in, &r);

	if (v.class != OK) {
		printf("refused %.*s\n", STR_ARG(v.text));
	} else if (addresses) {
		for (size_t i = 0; i < r.from.n; i++) {
			printf("%s", i > 0 ? " " : "");
			print_hexadecimal(r.from.at[i]);
		}
		printf("\n");
	} else if (r.from.n == 0 || !owns_all(&r.from) || !owns_all(&r.shown)) {
		printf("refused it is another's\n");
	} else {
		print_hexadecimal(header_find(&r.header, S("From"))->value);
		printf("\n");
	}
	arena_fini(&a);
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t capacity = 0;

	while (getline(&line, &capacity, stdin) > 0)
		answer(str_make(line, unhex(line)), argc > 1);
	free(line);
	return 0;
}
