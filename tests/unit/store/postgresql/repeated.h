/* repeated.h - calls of the store that a test repeats until one is answered, where the connection to the server is lost at times. */
#ifndef STORE_REPEATED_H
#define STORE_REPEATED_H

#include "../engine_under_test.h"

#define LATER (NOW * 2) /* what is given back is due at the time of the day */

/* What the server says itself to a statement. */
const char *store_rows(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Refused because the connection was lost? Then somebody tries again later. */
bool is_lost(struct fixture *f, struct answer *a);

struct answer show_again(struct fixture *f, uint64_t id);
struct answer alter_again(struct fixture *f, uint64_t id, enum alter operation);

/* Take the only recipient that is due in its lane: a take whose answer was lost is given back within a second. */
void take_again(struct fixture *f, uint64_t id);

#endif
