/* replay.c - the program of a replay, under the name that the linker calls in the place of the role's main(). */
int __wrap_main(int argc, char **argv);
#define main __wrap_main
#include "../replay.c"
