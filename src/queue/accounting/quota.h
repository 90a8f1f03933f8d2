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
struct allowance {
	struct account *account, *device; /* NULL: nobody's mail; no limits of its own */
	struct charged *charged;
	size_t charged_n;
	struct account_event *events; /* to be told when the message is stored */
	size_t events_n;
};

/* The accounts that count the message. */
void allowance_init(struct allowance *al, struct accounting *acc, struct str login, struct str device);

/* Does it matter whether the login has written to the recipients before? */
bool allowance_wants_new(const struct allowance *al);

/* The judgement: OK, and then m->charges are what is to be written with it (m->held says that it is to be held instead); else what the
 * client hears. */
struct verdict allowance_judge(struct allowance *al, struct arena *a, struct accepted *m, const struct amounts *amounts);

/* The message is stored; or it is not, and the charges are given back. */
void allowance_keep(struct allowance *al);
void allowance_return(struct allowance *al);

/* May the login of a session have so much more, beside what is charged and reserved? OK; else what the client hears. Where mail over the
 * limit is held, all may pass. */
struct verdict allowance_check(struct arena *a, const struct account *account, const struct account *device,
			       const struct amounts *amounts);

#endif
