/* upstream_profiles.c - `posthouse upstream profiles`: the providers that are known, for people who set one up for the first
 * time. */
#include "upstream.h"

#include "posthouse/profiles.h"

#include <stdio.h>
#include <sysexits.h>

static void print_facts(const struct profile *p, const struct profile_fact *facts, size_t n)
{
	printf("%s\n", p->name);
	for (size_t i = 0; i < n; i++)
		printf("    %-24s %.*s\n", facts[i].label, STR_ARG(facts[i].value));
	printf("\n");
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

	for (size_t i = 0; i < profiles_n; i++)
		(json ? print_facts_json : print_facts)(&profiles[i], facts, profile_facts(&profiles[i], &a, facts));
	if (json)
		json_end(profiles_n, false);
	arena_fini(&a);
	return EX_OK;
}
