/* reply_class.h - the meaning of a refusal: who is at fault, which mail is concerned, whether it passes. Table: replies.def. */
#ifndef RELAY_REPLY_CLASS_H
#define RELAY_REPLY_CLASS_H

#include "posthouse/meaning.h"
#include "posthouse/smtp_client.h"

/* As `gate` of the message `result`. */
enum gate_state {
	GATE_FINE,    /* each recipient has its own answer */
	GATE_BUSY,    /* the next hop cannot be reached, or accepts nothing now */
	GATE_OURS,    /* our login, our set-up or our TLS fails at the next hop */
	GATE_REFUSES, /* the next hop refuses us by quota or policy */
};

/* The step of a verdict of this relay, which is no reply of a peer: the rules for replies do not apply to it. */
#define STEP_OURS ((enum smtp_step)30)

/* Where a reply was given. */
struct place {
	enum smtp_step step;
	bool mx;           /* by a domain's own server; else by an upstream, at which this relay has an account */
	bool null_sender;  /* of the transaction */
	struct str server; /* the host of the upstream, and its greeting where that is known: tells which provider it is */
};

/* The meaning of a refusal. Another verdict (OK, or STEP_OURS) concerns the message, and waits when it is TEMP. */
struct meaning reply_class(struct place place, struct verdict v);

/* The gate of a next hop all of whose mail is refused like this. */
enum gate_state reply_class_gate(struct meaning m);

/* Do the words name the address of this relay or a block list with it, or, after the text, our account or quota? Then the
 * refusal means all our mail, and no second witness is needed. */
bool reply_class_is_plain(enum smtp_step step, struct verdict v);

/* The meaning of a failure to open a session; `by_peer`: the verdict is a reply. Always of SCOPE_HOP, and waits. Of vault's
 * verdicts about a login 4.3.0 and 4.7.0 pass by themselves, after the pause that their text can name ("in 300 seconds"); after
 * the others a person must act, see sasl.h. */
struct meaning reply_class_session(struct place place, enum smtp_fault fault, struct verdict v, bool by_peer);

/* RFC 5321 4.5.3.1.10: no more recipients in this transaction; the others can follow in another one. */
bool reply_class_too_many(enum smtp_step step, struct verdict v);

/* … because a transaction can have recipients of one domain only. */
bool reply_class_one_domain(enum smtp_step step, struct verdict v);

#endif
