/* quota.h - may a login send this? What was sent stands in the buckets; what is promised to a client that is still at its envelope is
 * a reservation, in memory only. Each message is judged whole when it is submitted, and its charge is written in the transaction that
 * stores it. */
#ifndef QUEUE_QUOTA_H
#define QUEUE_QUOTA_H

#include "accounting/account.h"
#include "accounting/observer.h"

#include "posthouse/store.h"

struct amounts {
	uint64_t of[METER_KINDS];
};

/* One charge, until the message is stored. */
struct charged;

/* Of one message on its way in; everything but the accounts is in the message's arena. */
struct quota {
	struct account *account, *device; /* NULL: nobody's mail; no limits of its own */
	struct charged *charged;
	size_t charged_n;
	struct account_event *events; /* to be told when the message is stored */
	size_t events_n;
};

/* The accounts that count the message. */
void quota_init(struct quota *quota, struct accounting *acc, struct str login, struct str device);

/* Does it matter whether the login has written to the recipients before? */
bool quota_counts_new(const struct quota *quota);

/* The judgement: OK, and then m->charges are what is to be written with it (m->held says that it is to be held instead); else what the
 * client hears. */
struct verdict quota_charge(struct quota *quota, struct arena *a, struct accepted *m, const struct amounts *amounts);

/* The message is stored; or it is not, and the charges are given back. */
void quota_keep(struct quota *quota);
void quota_give_back(struct quota *quota);

/* May the login of a session have so much more, beside what is charged and reserved? OK; else what the client hears. Where mail over the
 * limit is held, all may pass. */
struct verdict quota_check(struct arena *a, const struct account *account, const struct account *device,
			   const struct amounts *amounts);

#endif
