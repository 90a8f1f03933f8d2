/* arguments.c - what master says to a role on its command line, and the user that the role becomes. */
#include "arguments.h"

#include "privileges.h"
#include "posthouse/log.h"
#include "posthouse/str.h"

#include <stdlib.h>
#include <sysexits.h>

#define GROUPS_MAX 64

static unsigned long number_argument(int argc, char **argv, int i)
{
	char *end;
	unsigned long value;

	if (i >= argc)
		die(EX_USAGE, "%s wants a number: roles are started by `posthouse serve`", argv[i - 1]);
	value = strtoul(argv[i], &end, 10);
	if (*end)
		die(EX_USAGE, "%s is no number", argv[i]);
	return value;
}

/* "4,24,27" */
static size_t read_groups(struct str text, gid_t groups[GROUPS_MAX])
{
	struct str word;
	uint64_t gid;
	size_t n = 0;

	while (str_split(&text, ',', &word)) {
		if (n == GROUPS_MAX || !str_to_u64(word, &gid))
			die(EX_USAGE, "--groups wants numbers: roles are started by `posthouse serve`");
		groups[n++] = (gid_t)gid;
	}
	return n;
}

void read_arguments(int argc, char **argv, unsigned *index_out, uint64_t *incarnation_out)
{
	unsigned long uid = 0, gid = 0;
	gid_t groups[GROUPS_MAX];
	size_t groups_n = 0;
	bool drop = false;

	*index_out = 0;
	*incarnation_out = 0;
	for (int i = 1; i < argc; i++) {
		struct str a = str_of(argv[i]);

		if (str_eq(a, S("--index"))) {
			*index_out = (unsigned)number_argument(argc, argv, ++i);
		} else if (str_eq(a, S("--incarnation"))) {
			*incarnation_out = number_argument(argc, argv, ++i);
		} else if (str_eq(a, S("--uid"))) {
			uid = number_argument(argc, argv, ++i);
			drop = true;
		} else if (str_eq(a, S("--gid"))) {
			gid = number_argument(argc, argv, ++i);
		} else if (str_eq(a, S("--groups")) && i + 1 < argc) {
			groups_n = read_groups(str_of(argv[++i]), groups);
		} else {
			die(EX_USAGE, "unknown argument %s: roles are started by `posthouse serve`", argv[i]);
		}
	}
	if (*incarnation_out == 0)
		die(EX_USAGE, "roles are started by `posthouse serve`");
	if (drop)
		drop_privileges((uid_t)uid, (gid_t)gid, groups, groups_n);
}
