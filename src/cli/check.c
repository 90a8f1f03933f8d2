/* check.c - `posthouse check`: would the relay start with this configuration, here and as the user that it becomes? */
#include "cli.h"
#include "provide.h"

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

/* Take out the faults of files that the first start makes. Were there any? */
static bool take_out_made(struct config_faults *faults)
{
	size_t kept = 0, n = faults->n;

	for (size_t i = 0; i < n; i++)
		if (!faults->at[i].made_at_start)
			faults->at[kept++] = faults->at[i];
	faults->n = kept;
	return kept < n;
}

int command_check(const struct options *o, const char *config_path)
{
	bool dump = options_given(o, "dump"), made;
	struct config_faults faults;
	struct config *c;
	unsigned n;

	c = config_load(config_path, &faults);
	made = take_out_made(&faults);
	n = faults_print(&faults);
	if (made)
		fprintf(stderr, "the self-signed certificate is not there: it is made at the start\n");
	else if (n == 0)
		n = check_certificates(c);
	if (n == 0 && c->environment)
		n = provide_check_accounts(c);
	if (n == 0)
		n = machine_check(c);
	if (n == 0 && dump)
		print_dump(c);
	else if (n == 0)
		printf("configuration is good\n");
	config_free(c);
	return n > 0 ? EX_CONFIG : EX_OK;
}
