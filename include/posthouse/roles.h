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

/* The user of a role, when master was started by root (users.h). Otherwise all roles are the user who started master. */
enum role_user {
	AS_STARTER, /* as master is */
	AS_RUN_AS,  /* run_as: what is in state_dir belongs to it */
	AS_NET,     /* run_as with "-net": roles that strangers talk to, or that talk to strangers */
	AS_KEY,     /* run_as with "-key" */
	AS_LOGIN,   /* run_as with "-login" */
	ROLE_USERS
};

/* What the walls around a role let through: the bits of `can` and `reaches` in roles.def. */
enum role_can {
	CAN_ACCEPT = 1 << 0,      /* connections of clients at its listening sockets */
	CAN_CONNECT = 1 << 1,     /* to other machines, by TCP and UDP */
	CAN_PAIR = 1 << 2,        /* make pairs of connected Unix sockets */
	CAN_READ = 1 << 3,        /* open files, where `reaches` has any */
	CAN_WRITE = 1 << 4,       /* make, change and remove them */
	CAN_KEEP_TEXTS = 1 << 5,  /* write to files that others have opened for it */
	CAN_THREAD = 1 << 6,      /* start threads */
	CAN_START_EARLY = 1 << 7, /* within ops->start: the walls go up before it */
	CAN_JOIN = 1 << 8,        /* connect to Unix sockets of other programs; only by role_can() */
};
enum role_reaches {
	AT_STATE = 1 << 0,          /* state_dir */
	AT_ACCOUNTS = 1 << 1,       /* the account file */
	AT_TOKENS = 1 << 2,         /* refresh tokens */
	AT_FAULTS = 1 << 3,         /* what doctor remembers */
	AT_DROP = 1 << 4,           /* the drop directory */
	AT_CERTIFICATES = 1 << 5,   /* those of the issuers that the system trusts; read only */
	AT_RESOLVER = 1 << 6,       /* resolv.conf and the others that look-ups of names read; read only */
	AT_BACKEND = 1 << 7,        /* only with a back-end of Cyrus SASL: what such a library can need, also over the network */
	TO_NEXT_HOPS = 1 << 8,      /* the ports of upstreams and of direct delivery */
	TO_NAME_SERVERS = 1 << 9,   /* the ports of name servers */
	TO_LISTENERS = 1 << 10,     /* our own ports */
	TO_TOKEN_SERVERS = 1 << 11, /* the ports of their URLs, which are in the configuration */
	AT_POLICIES = 1 << 12,      /* what tlspolicy keeps */
	TO_HTTPS = 1 << 13,         /* port 443, while policies are asked for or reports are sent */
	AT_DATABASE = 1 << 14,      /* only with the engine for PostgreSQL: what store.connection names, see role_can() */
};

struct role_facts {
	const char *name;
	unsigned start; /* place in the order of starting, from 1; 0: not started by master */
	unsigned stop;  /* rank in the order of stopping, from 0 */
	enum role_instances instances;
	enum role_socket socket;
	unsigned calls; /* bits of the roles that it calls */
	unsigned can, reaches;
	enum role_user runs_as;
};
extern const struct role_facts role_facts[ROLE_COUNT];

/* For the log; "unknown" for a number that is no role. */
const char *role_name(enum role_id role);

/* Does one of the two call the other? Then master gives them a channel. */
bool roles_are_peers(enum role_id a, enum role_id b);

#endif
