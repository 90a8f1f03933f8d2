/* quota.h - the limits of a login and its device: check, charge, give back. What was sent is in the buckets; what was promised
 * to a client that is still sending its envelope is a reservation, in memory only. A submitted message is charged as a whole,
 * by one call, which either refuses it or fills accepted.charges: rows that the store writes in the transaction that stores
 * the message. A charge ends in one of two ways: kept or given back. */
#ifndef QUEUE_QUOTA_H
#define QUEUE_QUOTA_H

#include "accounting/account.h"
#include "accounting/observer.h"

#include "posthouse/store.h"

struct amounts {
	uint64_t of[METER_KINDS];
};

/* One charge of one bucket, until the message is stored. */
struct charged;

/* What is charged for one message; all but the accounts is in the message's arena. */
struct quota {
	struct account *account, *device; /* NULL: the message has no login; the device has no limits of its own */
	struct charged *charged;
	size_t charged_n;
	uint64_t *states;             /* accepted.states_out */
	struct account_event *events; /* to be told when the message is stored */
	size_t events_n;
};

extern const struct bucket_user quota_notified_rule;

/* Find and hold the accounts of the login and its device. */
void quota_init(struct quota *quota, struct accounting *acc, struct str login, struct str device);

/* Do the limits depend on how many recipients are new to the login? */
bool quota_counts_new(const struct quota *quota);

/* Charge the message. OK: m->charges have to be stored with it, and when m->held is not empty the message has to be stored as
 * held. Otherwise the reply to the client, and nothing is charged. */
struct verdict quota_charge(struct quota *quota, struct arena *a, struct accepted *m, const struct amounts *amounts);

/* The message is stored: the charge stays, and the observer hears what was due. / It is not stored: the charge is given back.
 * Both release the accounts. */
void quota_keep(struct quota *quota);
void quota_give_back(struct quota *quota);

/* The message was not stored, because other nodes have charged so much that a charge is over (store_is_over): decide again with
 * what the store knows. The answer is as that of quota_charge. */
struct verdict quota_charge_again(struct quota *quota, struct arena *a, struct accepted *m, const struct amounts *amounts);

/* Is this amount allowed now, in addition to what is charged and reserved? OK, or the reply to the client. Always OK where mail
 * over the limit is held. Nothing is charged. */
struct verdict quota_check(struct arena *a, const struct account *account, const struct account *device,
			   const struct amounts *amounts);

#endif
