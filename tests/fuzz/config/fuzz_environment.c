/* fuzz_environment.c - variables of a container, lines NAME=value: a configuration is made of them, or each fault names its
 * variable. */
#include "environment.h"
#include "fuzz.h"

#include <stdlib.h>

#define VARIABLES_MAX 24

static bool is_ours(struct str name)
{
	static const char *const families[] = { "POSTHOUSE_", "POSTFIX_", "RELAYHOST", "SMTP",    "MAIL",
						"DKIM",       "OPENDKIM", "ALLOWED",   "HOSTNAME" };

	for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
		if (str_starts(name, str_of(families[i])))
			return !str_ends(name, S("_FILE"));
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str rest = str_make(data, size);
	struct config_faults faults = { 0 };
	struct arena a = { 0 };
	struct config *c;
	unsigned n = 0;

	if (size > 4096 || str_find(rest, '\0') < size)
		return 0;
	clearenv();
	setenv("PATH", "", 1); /* no process begins without any */
	while (rest.n > 0 && n < VARIABLES_MAX) {
		struct str line = fuzz_line(&rest), name = str_head(line, str_find(line, '='));

		if (name.n == 0 || name.n == line.n || !is_ours(name))
			continue;
		setenv(arena_cstr(&a, name), arena_cstr(&a, str_from(line, name.n + 1)), 1);
		n++;
	}
	config_use_environment(true);
	c = config_load("/nonexistent/posthouse.conf", &faults);
	for (size_t i = 0; i < faults.n; i++)
		assert(fault_text(&a, &faults.at[i]).n > 0);
	config_free(c);
	arena_fini(&a);
	return 0;
}
