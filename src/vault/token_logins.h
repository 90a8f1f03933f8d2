/* token_logins.h - steps of logins at upstreams on their way to upstream_logins.h: the first step of a login by a token waits
 * until there is one. Loop only. */
#ifndef POSTHOUSE_VAULT_TOKEN_LOGINS_H
#define POSTHOUSE_VAULT_TOKEN_LOGINS_H

#include "tokens.h"
#include "upstream_logins.h"

struct token_logins {
	struct list waiting;
	size_t waiting_n;
	struct role *role;
	struct tokens *tokens;
	struct upstream_logins *logins;
};
void token_logins_init(struct token_logins *t, struct role *r, struct tokens *tokens, struct upstream_logins *logins);

/* Answered as upstream_login_step() says. */
void token_login_step(struct token_logins *t, struct channel *ch, const struct msg_upstream_step *m);

/* The channel has closed: nobody waits for its steps. */
void token_logins_drop(struct token_logins *t, const struct channel *ch);

#endif
