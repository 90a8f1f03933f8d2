/* check.c - `posthouse check`: would the relay start with this configuration, here and as the user that it becomes? */
#include "cli.h"

#include "posthouse/units.h"

#include <stdio.h>
#include <sysexits.h>

static void print_dump(const struct config *c)
{
	struct buf b;

	buf_init(&b, 16 * MIB);
	config_dump(c, &b);
	fwrite(b.p + b.from, 1, b.n, stdout);
	buf_fini(&b);
}

int command_check(const struct options *o, const char *config_path)
{
	bool dump = options_given(o, "dump");
	struct config_faults faults;
	struct config *c;
	unsigned n;

	c = config_load(config_path, &faults);
	n = faults_print(&faults);
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
