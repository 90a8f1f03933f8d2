/* sign_in.h - the first token of an upstream, by a person: `posthouse upstream login`. Where the provider has a device flow, the
 * person opens a page on any device and enters a code (RFC 8628); else the person's browser comes back to the command line with a
 * code (RFC 8252, with the proof of RFC 7636). The command line sees neither token nor secret. Loop only. */
#ifndef POSTHOUSE_VAULT_SIGN_IN_H
#define POSTHOUSE_VAULT_SIGN_IN_H

#include "tokens.h"

struct sign_ins;
struct sign_ins *sign_ins_new(struct role *r, struct tokens *t);

/* A step of upstream_sign_in (messages.def), answered once, at once or later, unless the channel is dropped before. */
void sign_in_step(struct sign_ins *s, struct channel *ch, const struct config *c, const struct msg_upstream_sign_in *m);

/* The channel has closed: its answers are not waited for any more. */
void sign_ins_drop(struct sign_ins *s, const struct channel *ch);

#endif
