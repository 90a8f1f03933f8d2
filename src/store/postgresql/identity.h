/* identity.h - state_dir/node: the name of this state_dir as a node, and what it has seen of its database. */
#ifndef POSTGRESQL_IDENTITY_H
#define POSTGRESQL_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

struct identity {
	char instance[37];   /* a UUID */
	uint64_t generation; /* of the database; 0: none so far */
	char history[17];    /* of the generation: another one is another database */
	uint64_t epoch;      /* of this node, when it joined last */
};

/* Made when there is none. False: errno says why. */
bool identity_read(const char *state_dir, struct identity *out);
bool identity_write(const char *state_dir, const struct identity *i);

#endif
