/* check.c - `posthouse check`: would the relay start with this configuration, here and as the user that it becomes? */
#include "cli.h"

#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

/* The number of faults, without warnings. */
static unsigned print_faults(const struct config_faults *faults)
{
	unsigned n = 0;

	for (size_t i = 0; i < faults->n; i++) {
		const struct config_fault *f = &faults->at[i];

		n += !f->warning;
		fprintf(stderr, "%.*s:", STR_ARG(f->file));
		if (f->line > 0)
			fprintf(stderr, "%u:", f->line);
		fprintf(stderr, "%s %.*s\n", f->warning ? " warning:" : "", STR_ARG(f->text));
	}
	return n;
}

static void print_dump(const struct config *c)
{
	struct buf b;

	buf_init(&b, 16 * MIB);
	config_dump(c, &b);
	fwrite(b.p + b.from, 1, b.n, stdout);
	buf_fini(&b);
}

/* `check [--dump]`: --dump prints the configuration in effect, with all defaults and without secrets. */
int command_check(int argc, char **argv, const char *config_path)
{
	bool dump = argc == 2 && strcmp(argv[1], "--dump") == 0;
	struct config_faults faults;
	struct config *c;
	unsigned n;

	if (argc > 1 && !dump) {
		fprintf(stderr, "usage: posthouse [-c FILE] check [--dump]\n");
		return EX_USAGE;
	}
	c = config_load(config_path, &faults);
	n = print_faults(&faults);
	if (n == 0)
		n = check_certificates(c);
	if (n == 0)
		n = machine_check(c);
	if (n == 0 && dump)
		print_dump(c);
	else if (n == 0)
		printf("configuration is good\n");
	config_free(c);
	return n > 0 ? EX_CONFIG : EX_OK;
}
