/* match.h - does a message, or a recipient, fit what store_find() looks for? All engines compare by these rules; how they
 * come to the messages that they compare is their own business. */
#ifndef POSTHOUSE_STORE_MATCH_H
#define POSTHOUSE_STORE_MATCH_H

#include "posthouse/store.h"

/* A pattern for addresses, folded (names.h), in its parts; "*" within a part is any text. */
struct address_pattern {
	struct str local, domain; /* "": any */
	bool either;              /* one word: the local part or the domain is `local` */
	bool null_sender;         /* "<>" */
	bool any;                 /* nothing is asked */
};

struct matcher {
	const struct find *find;
	struct str message_id; /* folded, without angle brackets */
	struct address_pattern sender, recipient;
	struct str_list words; /* of the subject, folded */
};

/* All texts are in `a`, or views of `find`. */
void matcher_init(struct matcher *m, struct arena *a, const struct find *find);

/* A text folded, in `a`; an id also without its angle brackets. */
struct str match_id(struct arena *a, struct str message_id);

/* The recipient itself, or the address that ORCPT says it was first. */
bool recipient_fits(const struct matcher *m, struct arena *a, struct str address, struct str orcpt);
/* All but the recipients and their states. */
bool message_fits(const struct matcher *m, struct arena *a, const struct envelope *e, uint64_t received_at);

/* The address that ORCPT (RFC 3461 4.2) holds; "": none. */
struct str orcpt_address(struct arena *a, struct str orcpt);

#endif
