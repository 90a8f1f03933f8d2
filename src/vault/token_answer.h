/* token_answer.h - what an answer of a token endpoint means (RFC 6749 5.1 and 5.2, RFC 8628 3.5). Pure functions. */
#ifndef POSTHOUSE_VAULT_TOKEN_ANSWER_H
#define POSTHOUSE_VAULT_TOKEN_ANSWER_H

#include "posthouse/arena.h"
#include "posthouse/ipc.h"

enum token_outcome {
	TOKEN_GRANTED,
	TOKEN_WAIT,    /* a fault that passes: the network, the provider's server, too many requests */
	TOKEN_PENDING, /* the person has not agreed yet */
	TOKEN_SLOWER,  /* the same, and we ask too often */
	TOKEN_PERSON,  /* somebody must sign in again, or mend the registration or the configuration */
};

struct token_answer {
	enum token_outcome outcome;
	struct str access_token, refresh_token; /* GRANTED; the second is empty when the old one stays in use */
	uint64_t expires_s;
	uint64_t retry_after_ms; /* 0: not said */
	int64_t clock_ms;        /* the provider's clock against ours; 0: not told */
	struct str why;          /* not GRANTED: for people, without secrets; in the arena */
};

/* `m` NULL: fetch has not answered, and `v` says why. The views live as long as `m`. now_ms: UTC. */
struct token_answer token_answer(struct arena *a, struct verdict v, const struct msg_fetched *m, uint64_t now_ms);

/* A member of the answer; "" when it is not there. */
struct str token_field(const struct msg_fetched *m, const char *name);

#endif
