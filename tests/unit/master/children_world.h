/* children_world.h - master with roles whose processes do nothing; their ends of the channels are the test's. */
#ifndef TEST_CHILDREN_WORLD_H
#define TEST_CHILDREN_WORLD_H

#include "loop.h"

#include "master.h"

#define WORKERS  2
#define TOLD_MAX 256

enum what { SPAWNED, CONNECT, LISTENER, STOP };

/* What master has done, in order: a process of a role started; a role told about a peer, a socket, the end. */
struct told {
	enum what what;
	enum role_id role;
	unsigned index;
	enum role_id peer;
	unsigned peer_index;
};

struct world {
	struct master master;
	struct config config;
	struct cfg_upstream upstream; /* that needs tokens, and so the role fetch */
	struct told told[TOLD_MAX];
	size_t n;
	bool no_program; /* the next start fails */
};
extern struct world world;

/* How often master has done that with a role. */
size_t count(enum what what, enum role_id role);
/* Run the loop until that is so. */
void run_until(bool (*reached)(const struct master *m));
bool are_ready(const struct master *m);
bool have_ended(const struct master *m);
struct child *find(enum role_id role);
void end_process(struct child *c);
/* All roles, with their first configuration; without_need: except for those that start when they are needed. */
int setup(void **state);
int setup_without_need(void **state);
int teardown(void **state);

#endif
