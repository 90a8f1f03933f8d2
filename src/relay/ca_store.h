/* ca_store.h - the CA certificates that verify next hops: one TLS context for each set of them. */
#ifndef RELAY_CA_STORE_H
#define RELAY_CA_STORE_H

#include "posthouse/list.h"
#include "posthouse/net.h"
#include "posthouse/verdict.h"

struct relay;

struct ca_store {
	struct list in_relay;
	struct arena arena;
	struct str ca_pem; /* "": the system's */
	struct tls_context *context;
	unsigned users; /* pools */
};

/* For opportunistic TLS with outdated servers, which is better than clear text. NULL: not possible. */
struct tls_context *ca_store_old_tls(struct relay *relay);
/* Find or make the context for these CA certificates; the caller counts itself in `users`. NULL and why (text in the arena). */
struct ca_store *ca_store_get(struct relay *relay, struct str ca_pem, struct arena *a, struct verdict *why_out);
void ca_stores_sweep(struct relay *relay); /* free those without users */

#endif
