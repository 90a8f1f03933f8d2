/* upstream_profiles.c - `posthouse upstream profiles`: the providers that are known, for people who set one up for the first
 * time. */
#include "columns.h"
#include "upstream.h"

#include "posthouse/profiles.h"

#include <stdio.h>
#include <sysexits.h>

#define INDENT     4
#define LABEL_MOST 28 /* columns of the longest label, and two blanks: where the values begin */

static const struct column columns[] = { { "SETTING" }, { "VALUE" } };

/* At a terminal a sentence goes on in further rows rather than being cut. */
static void add_facts(struct columns *c, unsigned width, const struct profile *p, const struct profile_fact *facts, size_t n)
{
	size_t room = width > INDENT + LABEL_MOST + 20 ? width - INDENT - LABEL_MOST : width ? 20 : SIZE_MAX - 1;

	columns_text(c, 0, str_of(p->name));
	for (size_t i = 0; i < n; i++) {
		struct str rest = facts[i].value, label = str_of(facts[i].label);

		for (struct str part; rest.n > 0; rest = str_trim(str_from(rest, part.n)), label = S("")) {
			part = words_head(rest, room);
			columns_row(c, (struct str[]){ label, part });
		}
	}
}

static void print_facts_json(const struct profile *p, const struct profile_fact *facts, size_t n)
{
	json_t *all = json_document("profile");

	json_object_set_new(all, "name", json_string(p->name));

	for (size_t i = 0; i < n; i++)
		json_object_set_new(all, facts[i].label, json_text(facts[i].value));
	json_print(all);
}

int upstream_profiles(bool json)
{
	struct profile_fact facts[PROFILE_FACTS_MAX];
	struct arena a = { 0 };
	struct columns c = { .arena = &a, .of = columns, .n = sizeof columns / sizeof columns[0], .indent = INDENT };

	for (size_t i = 0; i < profiles_n; i++) {
		size_t n = profile_facts(&profiles[i], &a, facts);

		if (json)
			print_facts_json(&profiles[i], facts, n);
		else
			add_facts(&c, terminal_width(), &profiles[i], facts, n);
	}
	if (json)
		json_end(profiles_n, false);
	else
		columns_print(&c, stdout, terminal_width());
	arena_fini(&a);
	return EX_OK;
}
