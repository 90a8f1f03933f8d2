/* client_keys.h - the private keys of our certificates at upstreams. Relay has the certificates, and asks for the one signature
 * that a handshake needs. */
#ifndef POSTHOUSE_VAULT_CLIENT_KEYS_H
#define POSTHOUSE_VAULT_CLIENT_KEYS_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"

struct client_keys;

/* Parse the keys of all upstreams. NULL: *why_out names the upstream whose key cannot be used; its text lives in the arena. */
struct client_keys *client_keys_new(struct arena *a, const struct config *c, struct verdict *why_out);
void client_keys_free(struct client_keys *k); /* NULL is allowed */

/* Sign what a TLS client signs (client_text.h), and nothing else. The signature lives in the arena. TEMP 451 4.7.5: no such key,
 * as after a reload, or not such a text. */
struct verdict client_keys_sign(const struct client_keys *k, struct arena *a, const struct msg_tls_sign *m,
				struct str *signature_out);

#endif
