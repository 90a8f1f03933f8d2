/* seen_recipients.h - recipients that a login has written to in the last hours: the store is asked, and told, only about
 * others. */
#ifndef QUEUE_SEEN_RECIPIENTS_H
#define QUEUE_SEEN_RECIPIENTS_H

#include "posthouse/str.h"

#define SEEN_SLOTS 16384

struct seen_recipients {
	uint64_t *met; /* hashes of login and address; NULL: none yet */
	uint64_t since;
};

void seen_recipients_fini(struct seen_recipients *all);

/* Is it certain that the login has written to the address, and that the store has recorded it? */
bool seen_recipient(struct seen_recipients *all, struct str login, struct str address, uint64_t now);

/* Record that it has. */
void seen_recipients_add(struct seen_recipients *all, struct str login, struct str address, uint64_t now);

#endif
