/* tokens.h - the access tokens of upstreams with oauth (RFC 6749): asked for, renewed ahead of their end, and kept in memory;
 * refresh tokens are durable (token_store.h) before the access token that came with them is used. There is one request at a time
 * for an upstream. Loop only.
 *
 * What fails is one of two things: the provider cannot be asked now, and tokens.c asks again with growing pauses; or a person
 * must act, and the log says so once. */
#ifndef POSTHOUSE_VAULT_TOKENS_H
#define POSTHOUSE_VAULT_TOKENS_H

#include "posthouse/list.h"
#include "posthouse/role.h"

struct tokens;

/* `directory`: of token_store_open(). */
struct tokens *tokens_new(struct role *r, int directory);

/* The configuration in force. Tokens of upstreams whose oauth, login or name are other than before are dropped, and new ones are
 * asked for. */
void tokens_apply(struct tokens *t, const struct config *c);

/* fetch is there (again): ask for the tokens that are missing. */
void tokens_go_on(struct tokens *t);

/* Somebody who waits for a token; zero to begin with. `done` comes once, perhaps before token_get() returns: OK and the token;
 * TEMP 454 4.7.0: it cannot be had now; TEMP 454 4.7.8: a person must act. The views live until `done` returns. */
struct token_wait {
	struct list in_waiting;
	bool waits;
	void (*done)(void *ctx, struct verdict v, struct str token);
	void *ctx;
};
void token_get(struct tokens *t, struct str upstream, struct token_wait *w);
void token_stop_waiting(struct token_wait *w);

/* The token that can be used now, "" when there is none. */
struct str token_now(struct tokens *t, struct str upstream);

/* The upstream has refused it: another one is asked for, unless this one is quite new. */
void token_refused(struct tokens *t, struct str upstream);

/* A person has signed in: the token is stored, and token_get() waits for that. False: no such upstream has oauth. */
struct token_answer;
bool token_signed_in(struct tokens *t, struct str upstream, const struct token_answer *answer);

/* role_stat_of() for each. */
void tokens_stats(struct tokens *t);

#endif
