/* delivery.h - one lease of queue: a message, its recipients, and what became of each of them. */
#ifndef RELAY_DELIVERY_H
#define RELAY_DELIVERY_H

#include "reply_class.h"

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/smtp_client.h"

struct relay;
struct pool;
struct connection;

enum { TRANSCRIPT_MAX = 4096 };

struct recipient {
	uint64_t n;
	struct str address, orcpt;
	unsigned notify;
	struct verdict verdict;
	enum smtp_step step; /* of the verdict */
	struct meaning meaning;
	bool heard;       /* the next hop has said the verdict in the present transaction */
	bool known;       /* it is final for this delivery */
	unsigned suspect; /* features that the verdict may be about */
};

/* The recipients of one transaction, in the delivery's arena. */
struct tx_recipients {
	size_t n;
	size_t *index;
	struct str sender, *addresses, *orcpt;
	unsigned *notify;
	bool utf8;
};

/* The last verdict that was judged. */
struct judged {
	bool known;
	enum smtp_step step;
	struct verdict verdict;
	struct meaning meaning;
};

enum delivery_state { DELIVERY_WAITING, DELIVERY_RUNNING, DELIVERY_REPORTED };

struct delivery {
	struct list in_leases, in_pool;
	struct relay *relay;
	struct pool *pool; /* NULL: no such next hop, or it is over */
	enum delivery_state state;
	struct log log;
	uint64_t lease, id; /* id: the message */
	struct arena arena;
	struct envelope envelope; /* without deliver_by its mode is BY_NONE */
	struct str prefix, text;
	uint64_t size;
	bool require_tls;
	int fd; /* the text, when it is a file */
	struct recipient *recipients;
	size_t recipients_n;
	struct tx_recipients tx;
	struct judged judged;
	struct buf transcript; /* of the last transaction that was not all success */
	bool long_lines;       /* its body has some */
	/* What it is for a next hop that does not take it as it is, once that is known: downgrade.c */
	unsigned downgraded_as; /* DOWNGRADE_...; 0: not yet, or not to its end */
	struct verdict no_downgrade;
	struct str downgraded_prefix;
	uint64_t downgraded_size;
	bool retried; /* on a fresh connection, after an idle one had died */
	/* Features that a next hop offers and that seemed to break it; unproven: it has not answered without them yet. */
	unsigned avoid, unproven;
	struct buf given_up; /* lines about that, for the transcript */
	bool other_family;   /* it was refused for the address family, and goes by the other one */
	bool orphan;         /* the queue that gave it is gone: nobody waits for the result */
};

/* What is known of the next hop when a delivery ends. */
struct nexthop_report {
	struct str remote, tls, transcript, without;
	uint64_t connections, rcptmax;
	bool dsn;
	enum gate_state gate; /* of the session; else the outcomes decide */
	struct meaning gate_meaning;
	struct str gate_reason;
};

struct delivery *delivery_new(struct relay *relay, const struct msg_deliver *m, int fd); /* takes fd */
void delivery_free(struct delivery *d);
struct delivery *delivery_find(struct relay *relay, uint64_t lease);
void delivery_run(struct delivery *d); /* a connection takes it */
bool delivery_is_complete(const struct delivery *d);
void delivery_settle_rest(struct delivery *d, enum smtp_step step, struct verdict v);
/* What is not known yet fares like those that were refused for the next hop's reasons. */
void delivery_spread_refusal(struct delivery *d);
void delivery_end(struct delivery *d, const struct nexthop_report *hop); /* report; what has no outcome yet is TEMP */
void delivery_end_blocked(struct delivery *d, struct verdict v, const struct nexthop_report *hop);
void delivery_end_untried(struct delivery *d);
void delivery_settled(struct delivery *d);

/* ---- handover.c ---- */
void delivery_begin(struct relay *relay, const struct msg_deliver *m, int fd); /* takes fd */
void deliveries_orphan(struct relay *relay);                                   /* queue is gone */

/* ---- complaints.c ---- */
void delivery_hear(struct delivery *d, size_t index, enum smtp_step step, struct verdict v); /* a verdict, and what it means */
/* The same, and it is final for this delivery. */
void delivery_outcome(struct delivery *d, size_t index, enum smtp_step step, struct verdict v);
/* Do the outcomes speak of the next hop rather than of this message? At RCPT and after the text two witnesses may be needed. */
enum gate_state delivery_gate(const struct delivery *d, struct meaning *meaning_out, struct str *reason_out);
struct rec_outcome delivery_answer(struct delivery *d, size_t index);
bool delivery_met_rate(const struct delivery *d);

/* ---- tx_recipients.c ---- */
/* Bits of `deliver`; the last one only here: an address in the header was found to need it. */
enum { UTF8_DECLARED = 1, UTF8_IN_ENVELOPE = 2, UTF8_IN_HEADER = 4, UTF8_IN_ADDRESS = 8 };
/* Does its header stay in UTF-8 for this next hop (RFC 6531)? Only together with an address that needs SMTPUTF8. */
bool tx_recipients_header_is_utf8(const struct delivery *d, unsigned usable);
/* Why the message as a whole must not go on this connection, or not any more; OK: it may. */
struct verdict tx_recipients_obstacle(const struct connection *c, unsigned usable);
/* Put as many open recipients as the next hop takes at once into d->tx; those that cannot go there get their outcome. False:
 * there are none left. */
bool tx_recipients_fill(const struct connection *c, unsigned usable);
void tx_recipients_forget(struct delivery *d); /* nothing that was heard counts */
/* Was a recipient refused for our address family? */
bool tx_recipients_meet_family(const struct delivery *d);
/* What was heard is final, but for recipients that were too many, or go by the other address family (`moves`), or
 * without what was given up. */
void tx_recipients_commit(struct delivery *d, bool moves, unsigned given_up);

/* ---- requirements.c ---- */
/* Why it need not be tried at all: its time is over, or it must not go to this next hop, whatever that says. OK: it may go. */
struct verdict requirements_check(const struct delivery *d, const struct pool *pool, uint64_t now_ms);
/* The same for this connection's delivery, now that it is known what the next hop offers. */
struct verdict requirements_check_peer(const struct connection *c, uint64_t now_ms);
/* RFC 2852: the seconds that are left. */
int64_t requirements_seconds(const struct delivery *d, uint64_t now_ms);

#endif
