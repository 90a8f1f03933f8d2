/* unit.h - cmocka, and what it wants to be included before it. */
#ifndef POSTHOUSE_TEST_UNIT_H
#define POSTHOUSE_TEST_UNIT_H

/* clang-format off: in this order */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#endif
