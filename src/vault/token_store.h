/* token_store.h - refresh tokens on disk: a file per upstream in state_dir/tokens, which is vault's alone. vault opens the
 * directory before it confines itself, so that later it needs no path. A file is replaced as a whole, and it is durable before
 * anybody uses what it holds. */
#ifndef POSTHOUSE_VAULT_TOKEN_STORE_H
#define POSTHOUSE_VAULT_TOKEN_STORE_H

#include "posthouse/arena.h"
#include "posthouse/secret.h"
#include "posthouse/verdict.h"

/* The directory, made (0700) if it is not there. The descriptor, or an errno as a negative number. */
int token_store_open(struct arena *a, struct str state_dir);

/* What is kept of an upstream. */
struct stored_token {
	struct str seed;             /* stands for what the configuration had when the token was obtained: see token_seed() */
	struct secret refresh_token; /* of malloc */
};
/* False: there is none, or it cannot be read; *why_out is "" in the first case. */
bool token_store_read(struct arena *a, int directory, struct str upstream, struct stored_token *token_out, struct str *why_out);

/* Replace the file; returns when it is durable, which takes milliseconds: for a thread of the pool. 0, or an errno. */
int token_store_write(int directory, const char *upstream, struct str seed, struct str refresh_token);

/* A hash of client_id and of the refresh token of the configuration: another application, or another first token, makes what is
 * stored worthless. */
struct str token_seed(struct arena *a, struct str client_id, struct str refresh_token);

#endif
