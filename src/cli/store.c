/* store.c - `posthouse store`: another program does it, which has libpq, and is in the package posthouse-postgresql. */
#include "cli.h"

#include "posthouse/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

extern char **environ;

/* The configuration alone says which database it is: libpq would also read variables, and files in the home directory. */
static void clear_environment(void)
{
	size_t kept = 0;

	for (char **e = environ; *e; e++)
		if (strncmp(*e, "PG", 2) != 0 && strncmp(*e, "HOME=", 5) != 0)
			environ[kept++] = *e;
	environ[kept] = NULL;
}

/* The directory that the verb wants; "": it wants none. */
static const char *directory_of(const struct options *o)
{
	static const struct {
		const char *verb, *option;
	} wants[] = { { "import", "from" }, { "export", "to" } };

	for (size_t i = 0; i < sizeof wants / sizeof wants[0]; i++) {
		if (strcmp(o->verb, wants[i].verb) != 0)
			continue;
		if (!options_value(o, wants[i].option))
			die(EX_USAGE, "store %s: --%s DIRECTORY is missing", o->verb, wants[i].option);
		return options_value(o, wants[i].option);
	}
	return "";
}

int command_store(const struct options *o, const char *config_path)
{
	char path[PROGRAM_PATH_MAX];
	const char *arguments[] = { program_path("store-postgresql", path), config_path, o->verb, directory_of(o),
				    options_given(o, "json") ? "json" : "", NULL };

	clear_environment();
	(void)execv(path, (char *const *)(uintptr_t)arguments); /* it comes back only when it fails */
	if (errno == ENOENT)
		die(EX_UNAVAILABLE,
		    "%s is not installed: it is in the package posthouse-postgresql, or Posthouse was built without libpq", path);
	die(EX_OSERR, "%s: %s", path, strerror(errno));
}
