/* sign.h - the DKIM signatures of what we write ourselves (reports and notices): hashed here, signed by vault. */
#ifndef QUEUE_SIGN_H
#define QUEUE_SIGN_H

#include "posthouse/mail.h"
#include "posthouse/store.h"

struct queue;

struct signing {
	struct queue *queue;
	struct arena *arena;
	struct accepted *m;      /* gets prefix and sign_domain */
	struct str header, body; /* its text, without the blank line between */
	struct str from;         /* the address in its From: keys of that domain sign */
	void (*done)(void *ctx, struct verdict v);
	void *ctx;
	/* private */
	struct dkim *dkim;
	struct dkim_key keys[DKIM_KEYS_MAX];
	size_t keys_n;
	uint64_t call; /* to vault; 0: none is open */
};

/* Ends in done(), at once where `sign` has no key for the domain of From: then it goes unsigned. TEMP: vault is away or
 * cannot use a key. */
void sign(struct signing *s);

/* Give up, if vault is still asked: done() does not come. True: it was. */
bool sign_cancel(struct signing *s);

/* Free what the signing holds. */
void sign_end(struct signing *s);

#endif
