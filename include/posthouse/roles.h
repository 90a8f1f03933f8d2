/* roles.h - the roles as numbers, bits and facts, all from roles.def. */
#ifndef POSTHOUSE_ROLES_H
#define POSTHOUSE_ROLES_H

#include <stdbool.h>

/* clang-format off */
enum role_id {
#define ROLE(ID, ...) ROLE_##ID,
#include "posthouse/roles.def"
	ROLE_COUNT
};

/* Sets of roles: B_QUEUE | B_RELAY. B_ROLES: those that master starts. */
enum {
#define ROLE(ID, ...) B_##ID = 1u << ROLE_##ID,
#include "posthouse/roles.def"
	B_ALL = (1u << ROLE_COUNT) - 1,
	B_ROLES = B_ALL & ~(B_MASTER | B_CLI)
};
/* clang-format on */

enum role_instances { ONE, PER_WORKER, WHEN_NEEDED };
enum role_socket { NO_SOCKET, LISTENING_SOCKETS, CONTROL_SOCKET, METRICS_SOCKETS };

struct role_facts {
	const char *name;
	unsigned start; /* place in the order of starting, from 1; 0: not started by master */
	unsigned stop;  /* rank in the order of stopping, from 0 */
	enum role_instances instances;
	enum role_socket socket;
	unsigned calls; /* bits of the roles that it calls */
};
extern const struct role_facts role_facts[ROLE_COUNT];

/* For the log; "unknown" for a number that is no role. */
const char *role_name(enum role_id role);

/* Does one of the two call the other? Then master gives them a channel. */
bool roles_are_peers(enum role_id a, enum role_id b);

#endif
