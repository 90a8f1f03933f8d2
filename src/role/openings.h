/* openings.h - what the walls of a role leave open: files and TCP ports, by roles.def and the role's configuration. */
#ifndef ROLE_OPENINGS_H
#define ROLE_OPENINGS_H

#include "posthouse/config.h"
#include "posthouse/roles.h"

#include <sys/types.h>

/* A directory with all that is below it, or one file. */
struct opening {
	const char *path;
	bool writes;
	bool watched; /* its path must lead to this inode: a wall knows inodes, and others replace such a file by a new one */
	dev_t device; /* 0: there was nothing */
	ino_t inode;
};

/* Starts as { 0 }. */
struct openings {
	struct arena arena;
	struct opening *places;
	size_t places_n, places_room;
	uint64_t *ports;
	size_t ports_n, ports_room;
	bool all; /* a back-end of Cyrus SASL: only what ends or inspects other processes is closed to its libraries */
};

/* places.c */
void openings_add_places(struct openings *o, enum role_id role, const struct config *c);
/* ports.c */
void openings_add_ports(struct openings *o, enum role_id role, const struct config *c);

/* Used by the two: add what is not there. */
void openings_add(struct openings *o, struct opening place);
void openings_add_port(struct openings *o, uint64_t port);

/* All of the role. */
void openings_of(struct openings *o, enum role_id role, const struct config *c);

/* Does the role with this configuration need what `o` has not? Then the words say what; else "". */
struct str openings_lack(struct openings *o, struct arena *a, enum role_id role, const struct config *c);
/* The same of a file that was replaced. */
struct str openings_moved(const struct openings *o, struct arena *a);

#endif
