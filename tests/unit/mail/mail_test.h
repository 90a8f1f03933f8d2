/* mail_test.h - what the tests of mail/ share. */
#ifndef POSTHOUSE_TESTS_MAIL_TEST_H
#define POSTHOUSE_TESTS_MAIL_TEST_H

#include "posthouse/mail.h"

#include "unit.h"
#include <stdio.h>
#include <stdlib.h>

/* Views are compared as text, and both are shown when they differ. */
#define assert_str(got, want) expect_str((got), (want), __FILE__, __LINE__)

static inline void expect_str(struct str got, struct str want, const char *file, int line)
{
	if (str_eq(got, want))
		return;
	print_error("%s:%d: got \"%.*s\", want \"%.*s\"\n", file, line, STR_ARG(got), STR_ARG(want));
	_fail(file, line);
}

/* A copy that is exactly as long as its bytes, so that the sanitizer sees a read past the end. */
static inline struct str exact(struct str s)
{
	char *p = xmalloc(s.n);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return str_make(p, s.n);
}

static inline void exact_free(struct str s)
{
	free((void *)(uintptr_t)s.p);
}

#endif
