/* node_fixture.h - several nodes on one server, in one process. Their steps are made one by one, and boot time passes when a test
 * says so. */
#ifndef POSTGRESQL_NODE_FIXTURE_H
#define POSTGRESQL_NODE_FIXTURE_H

#include "../../../support/unit.h"

#include "cluster.h"
#include "node.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMBERS_MAX 16
#define TIMEOUT     500 /* ms, as all of these */
#define TICK        100
#define UNKNOWN     300000
#define RECIPIENT   1000 /* a message of 1970 */
#define LANE        77
#define NODE_NOW    "(extract(epoch FROM clock_timestamp())*1000)::int8"

struct member {
	struct engine_host host;
	struct store_database database;
	struct node node;
	struct db db; /* the writer's */
	char directory[80];
};

struct fixture {
	char root[64], connection[256];
	struct member *members[MEMBERS_MAX];
	struct arena arena;
};

/* Boot time; and by how much the clock of day is wrong. */
extern uint64_t boot_ms, clock_off_ms;

/* The first value that the statement gives. */
const char *sql(struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t number(struct fixture *f, const char *text);

/* How often the nodes have told of this event. */
size_t told(const char *event);

/* A new process with state_dir `i`; one that has claimed; and its end, as after kill -9. */
struct member *member(struct fixture *f, unsigned i);
struct member *joined(struct fixture *f, unsigned i);
void end_member(struct fixture *f, unsigned i);

struct verdict claim(struct fixture *f, struct member *m);
bool is_fenced(struct member *m);
unsigned shards_n(struct member *m);

/* Time passes, and these members make their steps, the last NULL. */
void rounds(unsigned n, struct member *const *members);
#define ROUNDS(n, ...) rounds((n), (struct member *const[]){ __VA_ARGS__, NULL })

/* A recipient in flight on the member, and its lane, which sleeps. */
void take(struct fixture *f, struct member *m, unsigned n);

/* Of each test; and the whole program. */
int setup(void **state);
int teardown(void **state);
#define TEST(name)       cmocka_unit_test_setup_teardown(name, setup, teardown)
#define RUN_TESTS(tests) (node_fixture_begin() ? cmocka_run_group_tests(tests, NULL, NULL) : 0)
bool node_fixture_begin(void); /* false: there is no PostgreSQL here */

#endif
