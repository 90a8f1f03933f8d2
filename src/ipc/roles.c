/* roles.c - the rows of roles.def as a table. */
#include "posthouse/roles.h"

/* clang-format off */
const struct role_facts role_facts[ROLE_COUNT] = {
#define ROLE(ID, name, start, stop, instances, socket, calls, can, reaches, runs_as, ...)                                        \
	[ROLE_##ID] = { #name, start, stop, instances, socket, calls, can, reaches, runs_as },
#include "posthouse/roles.def"
};
/* clang-format on */

const char *role_name(enum role_id role)
{
	return (unsigned)role < ROLE_COUNT ? role_facts[role].name : "unknown";
}

bool roles_are_peers(enum role_id a, enum role_id b)
{
	return role_facts[a].calls & 1u << b || role_facts[b].calls & 1u << a;
}
