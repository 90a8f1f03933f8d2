/* ticket.h - what a session keeps to prove to a later queue who is logged in there: queue's own records end with its process. */
#ifndef QUEUE_TICKET_H
#define QUEUE_TICKET_H

#include "posthouse/str.h"

#define TICKET_SIZE 48 /* rights, stamp, and an HMAC-SHA-256 of all that the ticket says */

struct ticket {
	uint64_t worker, incarnation; /* the submission process, */
	uint64_t session;             /* and its session */
	struct str login, device;
	uint64_t rights, stamp; /* as in authenticated */
};

/* The ticket, in `room`; "": OpenSSL has failed. */
struct str ticket_make(struct str secret, const struct ticket *t, char room[TICKET_SIZE]);

/* Is this the ticket for these texts and numbers? Then rights and stamp are filled in. The comparison takes the same time
 * wherever they differ. */
bool ticket_fits(struct str secret, struct str ticket, struct ticket *t);

#endif
