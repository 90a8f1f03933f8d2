/* main.c - the program begins here and not in main(), which is the role's: the linker calls this one in its place. */
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*test)(const uint8_t *data, size_t size));
int __wrap_main(int argc, char **argv);

/* The entropic schedule takes as long as the role itself, which has many more edges than a parser. */
int __wrap_main(int argc, char **argv)
{
	static char no_schedule[] = "-entropic=0";
	char **arguments = xcalloc((size_t)argc + 2, sizeof *arguments);
	int n = argc + 1;

	arguments[0] = argv[0];
	arguments[1] = no_schedule;
	memcpy(arguments + 2, argv + 1, (size_t)argc * sizeof *argv);
	return LLVMFuzzerRunDriver(&n, &arguments, LLVMFuzzerTestOneInput);
}
