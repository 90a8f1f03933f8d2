/* spf_peer.c - for spf_peer.py: evaluates cases from standard input. "Q ADDRESS HELO SENDER" and records, "NAME TYPE VALUE", until a
 * line "."; answers the result, and the words of an error. */
#include "zone.h"

#include <stdio.h>

static void answer(struct str question, struct str zone_text)
{
	struct arena a = { 0 };
	struct zone z = { .arena = &a, .text = zone_text };
	struct spf_question q = { .lookup = zone_lookup, .ctx = &z };
	struct spf_outcome out;

	str_split(&question, ' ', &q.address);
	str_split(&question, ' ', &q.helo);
	q.sender = question;
	spf_check(&a, &q, &out);
	printf("%s %.*s\n", spf_result_names[out.result], STR_ARG(out.why));
	fflush(stdout);
	arena_fini(&a);
}

int main(void)
{
	char line[4096];
	struct arena a = { 0 };
	struct str question = S(""), zone = S("");

	while (fgets(line, sizeof(line), stdin)) {
		struct str text = str_head(str_of(line), str_find(str_of(line), '\n'));

		if (str_eq(text, S("."))) {
			answer(question, zone);
			arena_reset(&a);
			zone = S("");
		} else if (str_starts(text, S("Q "))) {
			question = arena_str(&a, str_from(text, 2));
		} else {
			zone = arena_printf(&a, "%.*s%.*s\n", STR_ARG(zone), STR_ARG(text));
		}
	}
	arena_fini(&a);
	return 0;
}
