/* wiped.h - memory of libraries that have secrets in it: overwritten when they free it. */
#ifndef FETCH_WIPED_H
#define FETCH_WIPED_H

#include <stddef.h>

/* For what malloc() and calloc() have given, and wiped_realloc(). */
void wiped_free(void *p);
void *wiped_realloc(void *p, size_t n);
char *wiped_strdup(const char *text);

#endif
