/* ca_store.c - TLS contexts for next hops. They are shared, because the CA certificates of the system take a megabyte. */
#include "ca_store.h"
#include "relay.h"

#include <stdlib.h>

bool ca_store_is(const struct ca_store *t, struct str ca_pem, struct str own_pem)
{
	return str_eq(t->ca_pem, ca_pem) && str_eq(t->own_pem, own_pem);
}

/* NULL and why: the certificates cannot be used. */
static struct tls_context *context_new(struct str ca_pem, struct str own_pem, struct arena *a, struct verdict *why_out)
{
	struct tls_context *context = tls_client_context(ca_pem, a, why_out);

	if (!context || own_pem.n == 0 || tls_client_certificate(context, own_pem, a, why_out))
		return context;
	tls_context_unref(context);
	return NULL;
}

struct ca_store *ca_store_get(struct relay *relay, struct str ca_pem, struct str own_pem, struct arena *a,
			      struct verdict *why_out)
{
	struct tls_context *context;
	struct ca_store *t;

	LIST_EACH_OF (struct ca_store, known, &relay->ca_stores, in_relay)
		if (ca_store_is(known, ca_pem, own_pem))
			return known;
	context = context_new(ca_pem, own_pem, a, why_out);
	if (!context)
		return NULL;
	t = NEW(struct ca_store);
	t->ca_pem = arena_str(&t->arena, ca_pem);
	t->own_pem = arena_str(&t->arena, own_pem);
	t->context = context;
	list_append(&relay->ca_stores, &t->in_relay);
	return t;
}

struct tls_context *ca_store_old_tls(struct relay *relay)
{
	if (!relay->old_tls)
		relay->old_tls = tls_old_client_context();
	return relay->old_tls;
}

/* Open connections keep their context: they hold references of their own. */
void ca_stores_sweep(struct relay *relay)
{
	LIST_EACH_OF (struct ca_store, t, &relay->ca_stores, in_relay) {
		if (t->users > 0)
			continue;
		list_remove(&t->in_relay);
		tls_context_unref(t->context);
		arena_fini(&t->arena);
		free(t);
	}
}

void ca_stores_forget_sessions(struct relay *relay)
{
	LIST_EACH_OF (struct ca_store, t, &relay->ca_stores, in_relay)
		tls_client_forget_sessions(t->context);
}
