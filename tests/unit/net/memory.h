/* memory.h - is a password still somewhere in this process? */
#ifndef POSTHOUSE_TEST_MEMORY_H
#define POSTHOUSE_TEST_MEMORY_H

#include <stddef.h>

#define MARK_BYTES 24

/* A password that stands nowhere but in `mark`; each round has another. */
void make_mark(char mark[MARK_BYTES], unsigned round);

/* How often it is in the memory that this process can write, `mark` itself not counted. */
unsigned copies_of(const char *mark);

#endif
