/* ca_store.h - the CA certificates that verify next hops, and our own certificate there: one TLS context for each set of them. */
#ifndef RELAY_CA_STORE_H
#define RELAY_CA_STORE_H

#include "posthouse/list.h"
#include "posthouse/net.h"
#include "posthouse/verdict.h"

struct relay;

struct ca_store {
	struct list in_relay;
	struct arena arena;
	struct str ca_pem;  /* "": the system's */
	struct str own_pem; /* our certificate with its chain; "": none */
	struct tls_context *context;
	unsigned users; /* pools */
};

/* For opportunistic TLS with outdated servers, which is better than clear text. NULL: not possible. */
struct tls_context *ca_store_old_tls(struct relay *relay);
/* Find or make the context for these certificates; the caller counts itself in `users`. NULL and why (text in the arena). */
struct ca_store *ca_store_get(struct relay *relay, struct str ca_pem, struct str own_pem, struct arena *a,
			      struct verdict *why_out);
bool ca_store_is(const struct ca_store *t, struct str ca_pem, struct str own_pem);
void ca_stores_sweep(struct relay *relay); /* free those without users */
/* After a reload: what was verified by certificates of before is verified again. */
void ca_stores_forget_sessions(struct relay *relay);

#endif
