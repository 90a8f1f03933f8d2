/* author_peer.c - what becomes of From values, for author_peer.py: each line of the input is a value in hexadecimal, each line of the output
 * "refused WHY", or the stored value in hexadecimal. The login owns al@bench.test alone, as it would be in submission. */
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

static void answer(struct str value)
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
	} else if (r.from.n == 0 || !owns_all(&r.from) || !owns_all(&r.shown)) {
		printf("refused it is another's\n");
	} else {
		struct str stored = header_find(&r.header, S("From"))->value;
		for (size_t i = 0; i < stored.n; i++)
			printf("%02x", (unsigned char)stored.p[i]);
		printf("\n");
	}
	arena_fini(&a);
}

int main(void)
{
	char *line = NULL;
	size_t capacity = 0;

	while (getline(&line, &capacity, stdin) > 0)
		answer(str_make(line, unhex(line)));
	free(line);
	return 0;
}
