/* accounting.h - the room as a whole: who is allowed to connect, to log in, and to send how much. It knows nothing of delivery,
 * of messages that are being accepted, or of the role around it: the observer tells the others what they have to know. */
#ifndef QUEUE_ACCOUNTING_H
#define QUEUE_ACCOUNTING_H

#include "accounting/account.h"
#include "accounting/admission.h"
#include "accounting/ban.h"
#include "accounting/breaker.h"
#include "accounting/bucket.h"
#include "accounting/failed_logins.h"
#include "accounting/observer.h"
#include "accounting/quota.h"
#include "accounting/seen_networks.h"
#include "accounting/seen_recipients.h"
#include "accounting/subject.h"
#include "accounting/warmup.h"
#include "common/format.h"
#include "common/timers.h"

#include "posthouse/limit.h"
#include "posthouse/log.h"
#include "posthouse/role.h"
#include "posthouse/store.h"

struct accounting {
	struct role *role;     /* its configuration and its figures */
	struct store *store;   /* NULL: not open, or closing: it must not be asked for anything */
	struct timers *timers; /* the role's */
	const struct accounting_observer *observer;
	bool closing;
	uint64_t node;          /* the number of this node, where several share the store; else 0 */
	uint64_t away_since;    /* ms since 1970: this node is without their database; 0: it is not */
	struct str away_fault;  /* then: as in struct store_node */
	uv_timer_t write_retry; /* writing to the store has failed */
	struct buckets buckets;
	struct bans bans;
	struct failed_logins failed_logins;
	struct home_networks home_networks;
	struct lockouts lockouts;
	struct breakers breakers;
	struct hashtable accounts;
	uint64_t accounts_collected_at; /* monotonic, for want of room */
	uint64_t generation;            /* counts configurations */
	struct seen_recipients seen_recipients;
	struct admission admission;
	struct tally limited; /* mail that a limit refused or had held, by the rule */
	struct list resets;   /* of show.c: the store works on them */
	struct list shows;    /* of show.c: they wait for buckets_read_again() */
};

/* Everything that the observer and the role point to must live until accounting_fini(). */
void accounting_init(struct accounting *acc, struct role *r, struct timers *timers, const struct accounting_observer *o);
void accounting_fini(struct accounting *acc);

/* The store is open: limits and bans are read, and the observer hears how that ends. / It is being closed. */
void accounting_open(struct accounting *acc, struct store *s);
void accounting_close(struct accounting *acc);

/* The configuration has changed. / The clock was set back. / Forget what has ended and nobody points to. / For `status`. */
void accounting_apply(struct accounting *acc);
void accounting_mend(struct accounting *acc, uint64_t now);
void accounting_collect(struct accounting *acc, uint64_t now);
void accounting_stats(struct accounting *acc);

void accounting_peer_gone(struct accounting *acc, const struct channel *ch);

/* Is the store open? Not once it is closing: a callback that comes then ends its chain. */
static inline bool accounting_may_store(const struct accounting *acc)
{
	return acc->store != NULL;
}

/* writing.c, for the parts whose changes are written to the store a moment later: members of struct writebehind_ops, whose ctx is
 * the room. */
bool accounting_can_write(void *ctx);
void accounting_write_later(void *ctx);

/* Limits and bans have been read: clients, logins and mail can be judged. */
static inline bool accounting_is_ready(const struct accounting *acc)
{
	return acc->bans.known && acc->buckets.known;
}

/* Reading them failed; it is tried again. */
static inline bool accounting_is_unreadable(const struct accounting *acc)
{
	return acc->buckets.unreadable || acc->bans.unreadable;
}

/* ---- show.c: limits, bans and breakers for an administrator: show them, and reset them ---- */

void resets_peer_gone(struct accounting *acc, const struct channel *ch);

/* Messages of the console. */
void accounting_limits_page(struct accounting *acc, struct channel *ch, const struct msg_limits_page *m);
void accounting_limits_reset(struct accounting *acc, struct channel *ch, const struct msg_limits_reset *m);

#endif
