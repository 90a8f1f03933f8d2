/* health.c - `posthouse health`: one sentence and an exit code, for containers and for programs that watch. */
#include "overview.h"

#include <stdio.h>
#include <sysexits.h>

int command_health(const struct options *o, const char *config_path)
{
	bool ready = options_given(o, "ready");
	struct str faults[HEALTH_FAULTS_MAX];
	struct overview all;
	struct session s;
	size_t n;

	session_open_within(&s, config_path, OVERVIEW_MS);
	overview_look(&s, &all);
	n = ready ? health_obstacles(&s.arena, &all.health, faults) : health_faults(&s.arena, &all.health, faults);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, "posthouse: %.*s\n", STR_ARG(utf8_shown(&s.arena, faults[i])));
	if (n == 0)
		printf("%s\n", ready ? "ready" : "healthy");
	session_close(&s);
	return n > 0 ? EX_UNAVAILABLE : EX_OK;
}
