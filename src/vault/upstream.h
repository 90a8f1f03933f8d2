/* upstream.h - our side of an upstream's AUTH dialogue: what relay may say to it, without ever holding the password longer. */
#ifndef POSTHOUSE_VAULT_UPSTREAM_H
#define POSTHOUSE_VAULT_UPSTREAM_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/secret.h"

/* The answer to a challenge; the whole dialogue is a function of (upstream, mechanism, first), so nothing is kept between the calls.
 * *response_out is the caller's to wipe. TEMP 454 4.7.0: no such upstream or login, or a challenge that the mechanism has not. */
struct verdict upstream_answer(const struct config *c, const struct msg_upstream_step *m, struct secret *response_out,
			       bool *done_out);

#endif
