/* upstream.h - our side of an upstream's AUTH dialogue: what relay may say to it, without ever holding the password longer. */
#ifndef POSTHOUSE_VAULT_UPSTREAM_H
#define POSTHOUSE_VAULT_UPSTREAM_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"
#include "posthouse/secret.h"

/* The upstream that we may log in at. TEMP 454 4.7.0: no such upstream, or no login for it; *upstream_out is NULL then. */
struct verdict upstream_find(const struct config *c, struct str name, const struct cfg_upstream **upstream_out);

/* The answer to a challenge of PLAIN or LOGIN, whose whole dialogue is a function of (upstream, mechanism, first), so nothing is kept
 * between the calls. *response_out is the caller's to wipe. TEMP 454 4.7.0: another mechanism, or a challenge that it has not. */
struct verdict upstream_answer(const struct cfg_upstream *u, const struct msg_upstream_step *m, struct secret *response_out,
			       bool *done_out);

#endif
