/* arguments.h - what master says to a role on its command line. */
#ifndef POSTHOUSE_ROLE_ARGUMENTS_H
#define POSTHOUSE_ROLE_ARGUMENTS_H

#include <stdint.h>

/* Gives up root where the arguments name a user. Dies when the program was not started by master. */
void read_arguments(int argc, char **argv, unsigned *index_out, uint64_t *incarnation_out);

#endif
