/* machine.h - what doctor sees of the machine it runs on and of the relay that runs here: values only, gathered once before the
 * first run, so that checks of them are pure. A group that could not be looked at says so (`known` false, and why): then its
 * check is unknown, or silent where there is nothing to say. */
#ifndef POSTHOUSE_MACHINE_H
#define POSTHOUSE_MACHINE_H

#include "posthouse/arena.h"

/* The relay of this configuration. */
enum relay_state {
	RELAY_NOT_ASKED, /* the question makes no sense here, or this user is not allowed to ask: `why` */
	RELAY_ABSENT,    /* none runs */
	RELAY_OTHER,     /* one of another build runs */
	RELAY_RUNS,
};
struct relay_facts {
	enum relay_state state;
	struct str why, version;
	bool changed;            /* the file on disk is not what the relay has loaded */
	uint64_t started_at;     /* ms UTC */
	struct str_list waiting; /* names of roles that are not ready */
};

struct clock_facts {
	bool known;
	struct str why;
	bool synchronised;
	uint64_t built_at;  /* when this program was built; 0: not known */
	uint64_t stored_at; /* the last time that the store has written something; 0: not known */
};

/* Of the state directory. */
struct state_facts {
	bool known;
	struct str why;
	struct str unsafe; /* a file system on which mail is not safe: "tmpfs"; "" */
	bool overlay;      /* an overlay file system, which goes with its container */
	bool same_as_root; /* it is on the file system of / */
	uint64_t free_bytes, total_bytes;
	uint64_t free_files, total_files; /* 0 in all: this file system does not count */
	uint64_t queue_bytes;             /* that the mail takes */
	struct str user;                  /* the relay's */
	bool access_known;                /* this process could try what that user can do */
	struct str_list faults;           /* what that user cannot do, one sentence each */
	struct str_list fault_paths;      /* of each of these */
};

/* Private keys and files of passwords that everybody can read. */
struct secret_facts {
	struct str_list readable; /* paths; none of them on a file system that is made for secrets */
	size_t n;                 /* how many secrets were looked at */
};

struct account_fact {
	struct str name, device;
	uint64_t created_at;
	uint64_t expires_at; /* 0: never */
	uint64_t used_at;    /* when it last let somebody in; 0: not since accounts.uses_since */
	uint64_t tried_at;   /* when somebody last used it after it had expired; 0: the same */
};

struct waiting_fact {
	struct str destination;
	size_t n;             /* recipients */
	uint64_t received_at; /* of the oldest message */
	struct str reply;     /* the last answer for it */
};

/* Of a process of the relay. */
struct role_walls {
	struct str role, missing; /* "queue", "seccomp, landlock"; "": both hold */
};

struct machine_facts {
	struct relay_facts relay;
	struct clock_facts clock;
	struct state_facts state;
	struct secret_facts secrets;
	struct {
		bool known;
		struct account_fact *at;
		size_t n;
		uint64_t uses_since; /* ms UTC; 0: uses are not known */
	} accounts;
	struct {
		bool known;
		struct waiting_fact *at; /* that wait for longer than queue.warn_after, the oldest first */
		size_t n;
	} waiting;
	struct {
		bool known;
		uint64_t all, from_gateway; /* client connections since the relay's start */
	} clients;
	struct {
		struct role_walls *at; /* of those that run; by role */
		size_t n;              /* 0: nobody could be asked */
		struct str user;       /* of all roles; "": they have several */
	} walls;
	struct {
		struct str v4, v6; /* "mx.example.net [192.0.2.1]:25", by each family; "": none is known */
	} reached;                 /* servers of others that have answered a direct delivery within the last day */
	struct str_list gateways;  /* default gateways of this machine */
	struct str_list addresses; /* of its interfaces, without loopback and link-local ones */
	struct str authorities;    /* PEM of the authorities that clients know; "": the system's */
};

#endif
