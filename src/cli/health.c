/* health.c - `posthouse health`: one sentence and an exit code, for containers and for programs that watch. */
#include "overview.h"

#include <stdio.h>
#include <sysexits.h>

/* The word that this command, or health --ready, is about, and what is against it. */
static void print_health_json(const char *word, const struct str *faults, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_text(faults[i]));
	json_print_document("health", json_pack("{s:b, s:o}", word, n == 0, "faults", list));
}

int command_health(const struct options *o, const char *config_path)
{
	bool ready = options_given(o, "ready"), json = options_given(o, "json");
	const char *word = ready ? "ready" : "healthy";
	struct str faults[HEALTH_FAULTS_MAX];
	struct overview all;
	struct session s;
	size_t n;

	session_open_within(&s, config_path, OVERVIEW_MS);
	overview_look(&s, &all);
	n = ready ? health_obstacles(&s.arena, &all.health, faults) : health_faults(&s.arena, &all.health, faults);
	for (size_t i = 0; i < n && !json; i++)
		fprintf(stderr, "posthouse: %.*s\n", STR_ARG(utf8_shown(&s.arena, faults[i])));
	if (json)
		print_health_json(word, faults, n);
	else if (n == 0)
		printf("%s\n", word);
	session_close(&s);
	return n > 0 ? EX_UNAVAILABLE : EX_OK;
}
