/* inquiry.h - relay looks for the mail servers of a domain before anything is leased for it. */
#ifndef QUEUE_INQUIRY_H
#define QUEUE_INQUIRY_H

#include "dispatch/nexthop.h"

struct inquiries {
	struct list new, again; /* struct nexthop, in_inquiries: HOSTS_WANTED. `again`: those that were down; they wait behind the
				   others */
	struct list asked;
	size_t asked_n;
	unsigned turn;
};
void inquiries_init(struct dispatch *d);
void inquiries_cancel(struct dispatch *d); /* relay is gone */

/* Ask relay for the mail servers, unless it was asked already. When the answer has come, the waiting lanes are served. */
void inquire(struct nexthop *hop);

#endif
