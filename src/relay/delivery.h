/* delivery.h - one lease of queue: a message, its recipients, and the outcome of each. */
#ifndef RELAY_DELIVERY_H
#define RELAY_DELIVERY_H

#include "reply_class.h"

#include "posthouse/arena.h"
#include "posthouse/buf.h"
#include "posthouse/hashtable.h"
#include "posthouse/ipc.h"
#include "posthouse/list.h"
#include "posthouse/log.h"
#include "posthouse/smtp_client.h"
#include "posthouse/tls_wish.h"

struct relay;
struct pool;
struct connection;

enum { TRANSCRIPT_MAX = 4096, TRANSCRIPT_OK_MAX = 2048 };

struct recipient {
	uint64_t n;
	struct str address, orcpt;
	unsigned notify;
	struct verdict verdict;
	enum smtp_step step; /* of the verdict */
	struct meaning meaning;
	bool heard;       /* the verdict comes from the present transaction */
	bool known;       /* the verdict is final for this delivery */
	unsigned suspect; /* features that possibly caused the verdict */
};

/* The recipients of one transaction, in the delivery's arena. */
struct tx_recipients {
	size_t n;
	size_t *index; /* of each in the delivery */
	struct smtp_recipient *recipients;
	struct str sender;
	bool utf8;
};

/* The last verdict that complaints.c judged. */
struct judged {
	bool known;
	enum smtp_step step;
	struct verdict verdict;
	struct meaning meaning;
};

enum delivery_state { DELIVERY_WAITING, DELIVERY_RUNNING, DELIVERY_REPORTED };

struct delivery {
	struct hashtable_item in_relay;
	struct list in_pool;
	struct relay *relay;
	struct pool *pool; /* NULL: there is no such next hop, or the delivery has ended */
	enum delivery_state state;
	struct log log;
	uint64_t lease, id; /* id: the message */
	uint64_t epoch;     /* of the node when it took the recipients; 0: there is no cluster */
	struct arena arena;
	struct envelope envelope; /* deliver_by_mode is BY_NONE when there is no deliver_by */
	struct str prefix, text;
	struct str from; /* the only author that the next hop takes; "": any */
	uint64_t size;
	enum tls_wish wish;
	bool ask_tls; /* the next hop gets REQUIRETLS where its TLS is verified and it offers that; `wish` can demand both */
	int fd;       /* the file with the text; -1: the text is in `text` */
	struct recipient *recipients;
	size_t recipients_n;
	struct tx_recipients tx;
	struct judged judged;
	struct buf transcript; /* of the last transaction with a failure */
	bool long_lines;       /* in the body */
	/* The result of the first pass of downgrade.c: */
	unsigned downgraded_as; /* DOWNGRADE_...; 0: there was no pass, or it did not end */
	struct verdict no_downgrade;
	struct str downgraded_prefix;
	uint64_t downgraded_size;
	bool retried; /* on a fresh connection, after an idle one had died */
	/* Features that are not used because the next hop seemed to fail on them; unproven: no answer without them so far. */
	unsigned avoid, unproven;
	struct buf given_up; /* lines about these, for the transcript */
	bool unfit;          /* the next hop cannot do what REQUIRETLS demands */
	bool other_family;   /* sent again by the other address family after a refusal of the first */
	bool past_horizon;   /* it got no end of its text, so its open recipients were not tried: see text_end.c */
	bool orphan;         /* the queue process that gave the lease has ended: no result is expected */
};

struct delivery *delivery_new(struct relay *relay, const struct msg_deliver *m, int fd); /* takes fd */
void delivery_free(struct delivery *d);
struct delivery *delivery_find(struct relay *relay, uint64_t lease);
bool delivery_is_complete(const struct delivery *d);
void delivery_settle_rest(struct delivery *d, struct verdict v); /* recipients without a verdict get this one, as STEP_OURS */
/* Recipients without a verdict get that of a recipient whose refusal means the next hop. */
void delivery_spread_refusal(struct delivery *d);
/* Send the result. `hop` has the facts about the next hop; without its `gate` the outcomes decide that. Recipients without an
 * outcome are TEMP. */
void delivery_end(struct delivery *d, struct msg_result hop);
/* The same; recipients without a verdict get this one. */
void delivery_end_with(struct delivery *d, struct verdict v, struct msg_result hop);
/* The next hop takes no mail now: queue keeps it, and tries the next hop later. */
void delivery_end_blocked(struct delivery *d, struct verdict v, struct msg_result hop);
void delivery_end_unroutable(struct delivery *d, struct str reason); /* there is no such next hop */
void delivery_end_untried(struct delivery *d);

/* ---- handover.c ---- */
void delivery_begin(struct relay *relay, const struct msg_deliver *m, int fd); /* takes fd */
void deliveries_orphan(struct relay *relay);                                   /* the queue process has ended */

/* ---- complaints.c ---- */
void delivery_hear(struct delivery *d, size_t index, enum smtp_step step, struct verdict v); /* note a verdict and its meaning */
/* The same; the verdict is final for this delivery. */
void delivery_outcome(struct delivery *d, size_t index, enum smtp_step step, struct verdict v);
/* Do the outcomes mean the next hop rather than this message? At RCPT and after the text, two witnesses can be needed. */
enum gate_state delivery_gate(const struct delivery *d, struct meaning *meaning_out, struct str *reason_out);
struct rec_outcome delivery_answer(struct delivery *d, size_t index);
bool delivery_met_rate(const struct delivery *d);

/* ---- tx_recipients.c ---- */
/* Bits of the message `deliver`; UTF8_IN_ADDRESS is set by relay only: an address in the header needs SMTPUTF8. */
enum { UTF8_DECLARED = 1, UTF8_IN_ENVELOPE = 2, UTF8_IN_HEADER = 4, UTF8_IN_ADDRESS = 8 };
/* Does the header stay in UTF-8 for this next hop (RFC 6531)? Only together with an address that needs SMTPUTF8. */
bool tx_recipients_header_is_utf8(const struct delivery *d, unsigned usable);
/* Why the message as a whole must not be sent on this connection (any more); OK: it can be sent. */
struct verdict tx_recipients_obstacle(const struct connection *c, unsigned usable);
/* Put as many open recipients into d->tx as the next hop accepts at once; recipients that cannot go there get their outcome.
 * False: none is left. */
bool tx_recipients_fill(const struct connection *c, unsigned usable);
void tx_recipients_forget(struct delivery *d); /* drop the verdicts of this transaction */
/* Was a recipient refused for our address family? */
bool tx_recipients_meet_family(const struct delivery *d);
/* The verdicts of this transaction become final, except for recipients that were too many, that go by the other address family
 * (`moves`), or that are sent without the features given up. */
void tx_recipients_commit(struct delivery *d, bool moves, unsigned given_up);

/* ---- requirements.c ---- */
/* Why the delivery must not be tried: its time is over, or this next hop is excluded whatever it offers. OK: it can be tried. */
struct verdict requirements_check(struct delivery *d, const struct pool *pool, uint64_t now_ms);
/* The same for the delivery of this connection, when the offers of the next hop are known. */
struct verdict requirements_check_peer(const struct connection *c, uint64_t now_ms);
/* Why a server of a domain, whose session has just been opened, gets none of the mail with REQUIRETLS that waits for it. */
struct verdict requirements_check_server(const struct connection *c);
/* Does this failure of a server say that it cannot do what REQUIRETLS demands (RFC 8689 4.2.1)? Else it can be tried later. */
bool requirements_shows_unfit(struct verdict v, enum smtp_fault fault);
/* Is the TLS of the connection verified, and is REQUIRETLS offered in it (RFC 8689 4.2.1)? */
bool requirements_offers_tls(const struct connection *c);
/* RFC 2852: the seconds that are left. */
int64_t requirements_seconds(const struct delivery *d, uint64_t now_ms);

#endif
