/* blame.h - whose fault is a refusal: the message's (or its recipient's), or that of the next hop as a whole, or ours there?
 * Quotas and policies of an upstream come as 4xx and 5xx alike, and must neither bounce mail nor be tried with every message. */
#ifndef RELAY_BLAME_H
#define RELAY_BLAME_H

#include "posthouse/smtp_client.h"

/* As `gate` of the message `result`. */
enum gate_state {
	GATE_FINE,    /* each recipient has its own answer */
	GATE_BUSY,    /* the next hop cannot be reached, or takes nothing now */
	GATE_OURS,    /* our login or our TLS fails there */
	GATE_REFUSES, /* it refuses us by quota or policy */
};

/* The step of a verdict that is our own, not a reply of the peer: no rule about the peer's words applies to it. */
#define STEP_OURS ((enum smtp_step)30)

/* A reply to MAIL, RCPT, DATA or the final dot. */
enum gate_state blame_reply(enum smtp_step step, struct verdict v);

/* Why a session could not be had; `by_peer`: the next hop said so itself. Never GATE_FINE. */
enum gate_state blame_session(enum smtp_step step, enum smtp_fault fault, struct verdict v, bool by_peer);

/* RFC 5321 4.5.3.1.10: no more recipients in this transaction; the others may follow in another. */
bool blame_too_many(enum smtp_step step, struct verdict v);

#endif
