/* keyring.h - the DKIM keys of a configuration, ready to sign with. */
#ifndef POSTHOUSE_VAULT_KEYRING_H
#define POSTHOUSE_VAULT_KEYRING_H

#include "posthouse/config.h"
#include "posthouse/ipc.h"

struct keyring;

/* Parse every key of `c`. NULL: *why_out names the key that cannot be used; its text lives in the arena. */
struct keyring *keyring_new(struct arena *a, const struct config *c, struct verdict *why_out);
void keyring_free(struct keyring *k); /* NULL is allowed */

size_t keyring_count(const struct keyring *k);

/* Can one message of the domain have so many signatures? Each key of the domain signs once, so a longer list would only cost
 * time. TEMP 451 4.7.5: too many. */
struct verdict keyring_check_number(const struct keyring *k, struct str domain, size_t digests);

/* Sign one digest with the key of (domain, selector, algorithm). The signature lives in the arena. TEMP 451 4.7.5: no such key,
 * or it does not work. RSA-2048 takes 0.4 ms, Ed25519 0.05 ms: short enough for the loop. */
struct verdict keyring_sign(struct keyring *k, struct arena *a, struct str domain, const struct rec_digest *digest,
			    struct str *signature_out);

/* Sign dkim_sample_digest() with this key. Verdicts as above. */
struct verdict keyring_sample(struct keyring *k, struct arena *a, struct str domain, struct str selector,
			      struct str *signature_out);

#endif
