/* author_tokens.h - the parts of a From field, however they are mixed. */
#ifndef POSTHOUSE_MAIL_AUTHOR_TOKENS_H
#define POSTHOUSE_MAIL_AUTHOR_TOKENS_H

#include "address.h"

enum token_type {
	TOKEN_TEXT,      /* letters, and characters that have no meaning in their place */
	TOKEN_QUOTED,    /* text: without quotes and backslashes */
	TOKEN_COMMENT,   /* text: without the outer parentheses and without backslashes */
	TOKEN_ANGLE,     /* an address in angle brackets; without address: "<>" */
	TOKEN_ADDRESS,   /* an address by itself */
	TOKEN_SEPARATOR, /* "," or ";" */
};

struct token {
	enum token_type type;
	struct str text;
	struct mailbox mailbox; /* TOKEN_ANGLE, TOKEN_ADDRESS; and TOKEN_TEXT that can be a local part without a domain */
	bool spaced;            /* white space is before it */
	bool clear;             /* all readers understand it in the same way */
};

/* Never fails: a bracket or quote without its other half is text. `local_too`: addresses can be without a domain. */
struct token *author_tokens(struct arena *a, struct str value, bool local_too, size_t *n_out);

#endif
