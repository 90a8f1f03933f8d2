/* token_request.h - what is asked of a token endpoint (RFC 6749, 7523, 8628), as the body of a POST. Pure functions; the bodies
 * hold secrets, so they are wiped after use. */
#ifndef POSTHOUSE_VAULT_TOKEN_REQUEST_H
#define POSTHOUSE_VAULT_TOKEN_REQUEST_H

#include "posthouse/buf.h"
#include "posthouse/config.h"
#include "posthouse/secret.h"

#define FORM_TYPE "application/x-www-form-urlencoded"

/* A token by the upstream's own grant. `refresh_token` is for GRANT_REFRESH_TOKEN, now_s (seconds UTC) for the signed claim of
 * GRANT_SERVICE_ACCOUNT. TEMP: it cannot be made, and why. */
struct verdict token_request(const struct cfg_upstream *u, struct str refresh_token, uint64_t now_s, struct secret *body_out);

/* Signing in by another device (RFC 8628 3.1 and 3.4), and by a browser that comes back with a code (RFC 6749 4.1.3, 7636). */
void device_request(const struct cfg_oauth *o, struct secret *body_out);
void device_token_request(const struct cfg_oauth *o, struct str device_code, struct secret *body_out);
void code_request(const struct cfg_oauth *o, struct str code, struct str redirect, struct str verifier, struct secret *body_out);

/* The URL that the browser opens. `verifier` stays here, the URL has its hash (RFC 7636 4.2). */
struct str authorization_url(struct arena *a, const struct cfg_upstream *u, struct str redirect, struct str state,
			     struct str verifier);

/* RFC 4648 section 5, without padding. */
struct str base64url(struct arena *a, struct str bytes);

#endif
