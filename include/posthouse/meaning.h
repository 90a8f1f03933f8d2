/* meaning.h - what a reply of a next hop means: which class of trouble it is, who must act, what is concerned, and how long to
 * wait. relay judges (src/relay/replies.def), queue acts on it, and logs, traces, status and reports name it. */
#ifndef POSTHOUSE_MEANING_H
#define POSTHOUSE_MEANING_H

#include "posthouse/arena.h"

#include <stdbool.h>
#include <stdint.h>

/* The numbers are stored with each recipient: new ones go to the end. */
enum trouble {
	TROUBLE_NONE,           /* not known, or none */
	TROUBLE_MAILBOX,        /* there is no such mailbox, or it takes nothing */
	TROUBLE_FULL,           /* the mailbox is full */
	TROUBLE_CONTENT,        /* what the message says, or how it is built; or a rule of the recipient's side */
	TROUBLE_REPUTATION,     /* our address, our account or the sender's domain is not trusted */
	TROUBLE_AUTHENTICATION, /* SPF, DKIM, DMARC */
	TROUBLE_RATE,           /* too fast, too many at once */
	TROUBLE_QUOTA,          /* the amount that is allowed in a day or month is used up */
	TROUBLE_LOGIN,          /* our login there is refused */
	TROUBLE_SETUP,          /* our set-up there does not allow it */
	TROUBLE_TLS,
	TROUBLE_DNS, /* reverse DNS of our address, or DNS of the sender's domain */
	TROUBLE_SIZE,
	TROUBLE_LOOP,
	TROUBLE_GREYLIST,
	TROUBLE_TEMPORARY, /* a fault there that passes */
	TROUBLES
};

enum scope {
	SCOPE_RECIPIENT,
	SCOPE_MESSAGE,
	SCOPE_SENDER, /* this sender's address at this next hop */
	SCOPE_DOMAIN, /* this sender's domain at this next hop */
	SCOPE_FAMILY, /* IPv4 or IPv6: the other family can succeed */
	SCOPE_HOP,    /* all our mail to this next hop */
	SCOPES
};

enum actor { ACTOR_NOBODY, ACTOR_USER, ACTOR_ADMIN, ACTOR_RECIPIENT, ACTORS };

/* What a person has to know about this refusal in particular; the numbers are stored too. */
enum hint {
	HINT_NONE,
#define HINT(id, sentence) HINT_##id,
#include "posthouse/hints.def"
	HINTS
};

struct meaning {
	enum trouble trouble;
	enum actor actor;
	enum scope scope;
	enum hint hint;
	bool waits;        /* a later try can succeed, even when the reply is 5xx */
	uint64_t pause_ms; /* before that; 0: as the queue's own schedule has it */
};

/* "reputation", "sender", "admin": words for logs. */
const char *trouble_name(unsigned trouble);
const char *scope_name(unsigned scope);
const char *actor_name(unsigned actor);

/* Class, actor and hint in one number, to be stored, and back. A number without a hint was stored by an older version. */
uint64_t meaning_pack(struct meaning m);
enum trouble meaning_trouble(uint64_t packed);
enum actor meaning_actor(uint64_t packed);

/* The sentence of its hint, for administrators; "": there is none. */
const char *meaning_hint(uint64_t packed);

/* For people: what the trouble is, who must act, and what is to be done; "" when nothing is known. */
struct str meaning_advice(struct arena *a, uint64_t packed);

#endif
