/* identity_form.h - the form of state_dir/node: the name of this state_dir as a node, and what it has seen of its database. */
#ifndef STORE_IDENTITY_FORM_H
#define STORE_IDENTITY_FORM_H

#include "posthouse/str.h"

enum { IDENTITY_BYTES_MAX = 128 };

struct identity {
	char instance[37];   /* a UUID */
	uint64_t generation; /* of the database; 0: none so far */
	char history[17];    /* of the generation: another one is another database */
	uint64_t epoch;      /* of this node, when it joined last */
	uint32_t timeline;   /* of the servers with this history, the newest one; 0: not known */
};

/* The text of the file; its length. */
size_t identity_form(const struct identity *i, char text_out[static IDENTITY_BYTES_MAX]);
/* False: it is damaged. */
bool identity_scan(struct str text, struct identity *out);

#endif
