/* reply_class.h - what a refusal means: whose fault it is, whom it concerns, whether it passes. The table is replies.def. */
#ifndef RELAY_REPLY_CLASS_H
#define RELAY_REPLY_CLASS_H

#include "posthouse/meaning.h"
#include "posthouse/smtp_client.h"

/* As `gate` of the message `result`. */
enum gate_state {
	GATE_FINE,    /* each recipient has its own answer */
	GATE_BUSY,    /* the next hop cannot be reached, or takes nothing now */
	GATE_OURS,    /* our login, our set-up or our TLS fails there */
	GATE_REFUSES, /* it refuses us by quota or policy */
};

/* The step of a verdict that is our own, not a reply of the peer: no rule about the peer's words applies to it. */
#define STEP_OURS ((enum smtp_step)30)

/* Where something was said. */
struct place {
	enum smtp_step step;
	bool mx;          /* by a domain's own server; else by an upstream, where we are a customer */
	bool null_sender; /* of the transaction */
};

/* What a refusal means. An answer that is none (OK, or our own word) concerns the message, and waits when it is TEMP. */
struct meaning reply_class(struct place place, struct verdict v);

/* The gate of a next hop all of whose mail is refused like this. */
enum gate_state reply_class_gate(struct meaning m);

/* Do the words name our own address or a list that has it, and after the text also an account or a quota of ours? Then what is
 * held against the next hop's customer needs no second witness. */
bool reply_class_is_plain(enum smtp_step step, struct verdict v);

/* Why a session could not be had; `by_peer`: the next hop said so itself. Always of SCOPE_HOP, and waits. */
struct meaning reply_class_session(struct place place, enum smtp_fault fault, struct verdict v, bool by_peer);

/* RFC 5321 4.5.3.1.10: no more recipients in this transaction; the others may follow in another. */
bool reply_class_too_many(enum smtp_step step, struct verdict v);

/* … because each transaction may have recipients of one domain only. */
bool reply_class_one_domain(enum smtp_step step, struct verdict v);

#endif
