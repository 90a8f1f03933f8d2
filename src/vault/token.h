/* token.h - the token of one upstream: tokens.c keeps them all, token_renewal.c asks for one. */
#ifndef POSTHOUSE_VAULT_TOKEN_H
#define POSTHOUSE_VAULT_TOKEN_H

#include "token_answer.h"
#include "tokens.h"

#include "posthouse/secret.h"

enum trouble_kind { FINE, LATER, PERSON };

struct token {
	struct list in_all, waiting;
	struct tokens *all;
	struct arena arena; /* name, identity, seed */
	struct str name;    /* with a NUL behind it: it is the name of a file too */
	struct str identity, seed;
	const struct cfg_upstream *upstream; /* of the configuration in force */
	struct secret access, refresh;
	uint64_t got_mono, expires_mono;
	enum trouble_kind trouble;
	char *why; /* of the trouble; NULL: none */
	unsigned failures;
	int64_t clock_ms; /* of the provider's clock against ours, as far as a signed claim was refused for it */
	uint64_t call;    /* the request under way; 0: none */
	uv_timer_t timer, patience;
	unsigned handles; /* open ones */
	bool gone;
	/* a refresh token on its way to the disk, and the access token that waits for that */
	bool saving;
	uv_work_t work;
	int error;
	struct secret next_access;
	uint64_t next_expires_s;
};

struct tokens {
	struct role *role;
	int directory;
	struct list all;
};

/* ---- token_renewal.c ---- */
/* Ask for a token, unless that is under way. */
void token_request_begin(struct token *k);
/* The request under way has its answer, or is given up. */
void token_call_over(struct token *k);
/* What the provider has granted: the refresh token is stored when it is a new one, then the access token is used. */
void token_granted(struct token *k, const struct token_answer *t);
void token_answer_waiting(struct token *k, struct verdict v, struct str token);
bool token_is_valid(const struct token *k);
struct verdict token_trouble(const struct token *k); /* why there is none */

/* ---- tokens.c ---- */
void token_free_if_closed(struct token *k);

#endif
