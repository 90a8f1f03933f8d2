/* ca_store.h - the CA certificates that next hops are verified with: one TLS context for each set of them. */
#ifndef RELAY_CA_STORE_H
#define RELAY_CA_STORE_H

#include "posthouse/list.h"
#include "posthouse/net.h"
#include "posthouse/verdict.h"

struct relay;

struct ca_store {
	struct list in_relay;
	struct str ca_pem; /* owned; "": the system's */
	struct tls_context *context;
	unsigned users;
};

/* For opportunistic TLS with servers of another time, which beats clear text. NULL: not possible. */
struct tls_context *ca_store_old_tls(struct relay *relay);
/* The context for these CA certificates, made when there is none; NULL and why (text in the arena). Not yet used by anybody. */
struct ca_store *ca_store_get(struct relay *relay, struct str ca_pem, struct arena *a, struct verdict *why_out);
void ca_store_use(struct ca_store *t);
void ca_store_leave(struct ca_store *t);   /* NULL is allowed */
void ca_stores_sweep(struct relay *relay); /* those that nobody uses go */

#endif
