/* second_store.h - a second store, with a thread and a node of its own, on the database and the loop of the fixture. */
#ifndef POSTGRESQL_SECOND_STORE_H
#define POSTGRESQL_SECOND_STORE_H

#include "../engine_under_test.h"

extern struct store *second_store; /* NULL: closed */

/* cmocka's set-up and tear-down, in place of those of the fixture: both stores are open. */
int second_setup(void **state);
int second_teardown(void **state);

void second_close(struct fixture *f);
void second_open(struct fixture *f); /* again */

#endif
