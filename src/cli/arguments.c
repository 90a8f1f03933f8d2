/* arguments.c - flags and options, taken out of the arguments of a command. */
#include "cli.h"

#include "posthouse/log.h"
#include "posthouse/units.h"

#include <sysexits.h>

static void take_out(int *argc, char **argv, int i, int n)
{
	for (int k = i; k + n <= *argc; k++)
		argv[k] = argv[k + n];
	*argc -= n;
}

bool take_flag(int *argc, char **argv, const char *flag)
{
	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], flag) == 0) {
			take_out(argc, argv, i, 1);
			return true;
		}
	return false;
}

const char *take_option(int *argc, char **argv, const char *name)
{
	size_t n = strlen(name);

	for (int i = 1; i < *argc; i++) {
		const char *value;

		if (strncmp(argv[i], name, n) != 0 || (argv[i][n] != '=' && argv[i][n] != '\0'))
			continue;
		if (argv[i][n] == '=') {
			value = argv[i] + n + 1;
			take_out(argc, argv, i, 1);
			return value;
		}
		if (i + 1 >= *argc)
			die(EX_USAGE, "%s wants a value", name);
		value = argv[i + 1];
		take_out(argc, argv, i, 2);
		return value;
	}
	return NULL;
}

void no_more_arguments(int argc, char **argv, int n)
{
	if (argc > n)
		die(EX_USAGE, "unexpected argument %s; `posthouse help` lists the commands, posthouse(8) their arguments",
		    argv[n]);
}

bool read_duration(struct str text, uint64_t max_ms, uint64_t *ms_out)
{
	static const struct {
		char unit;
		uint64_t ms;
	} units[] = { { 's', 1000 }, { 'm', MINUTE_MS }, { 'h', HOUR_MS }, { 'd', DAY_MS }, { 'w', 7 * DAY_MS } };
	uint64_t n;

	if (text.n == 0 || !str_to_u64(str_head(text, text.n - 1), &n))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (text.p[text.n - 1] == units[i].unit && n <= max_ms / units[i].ms) {
			*ms_out = n * units[i].ms;
			return true;
		}
	return false;
}
