/* program.c - how people call this program with the configuration that it has now. */
#include "cli.h"

struct str program_with(struct arena *a, const char *config_path)
{
	const char *env = config_uses_environment() ? " --env" : "";

	if (strcmp(config_path, DEFAULT_CONFIG) == 0 || strcmp(config_path, CONFIG_ENVIRONMENT) == 0)
		return arena_printf(a, "posthouse%s", env);
	return arena_printf(a, "posthouse%s -c %s", env, config_path);
}
