/* ca_store.c - TLS contexts for next hops, one for each set of CA certificates: the system's alone costs a megabyte. */
#include "ca_store.h"
#include "relay.h"

#include <stdlib.h>

struct trust *trust_get(struct relay *relay, struct str ca_pem, struct arena *a, struct verdict *why_out)
{
	struct tls_context *context;
	struct trust *t;
	char *copy;

	LIST_EACH (i, &relay->trusts) {
		t = CONTAINER_OF(i, struct trust, in_relay);
		if (str_eq(t->ca_pem, ca_pem))
			return t;
	}
	context = tls_client_context(ca_pem, a, why_out);
	if (!context)
		return NULL;
	t = NEW(struct trust);
	copy = xmalloc(ca_pem.n + 1);
	if (ca_pem.n)
		memcpy(copy, ca_pem.p, ca_pem.n);
	t->ca_pem = str_make(copy, ca_pem.n);
	t->context = context;
	list_append(&relay->trusts, &t->in_relay);
	return t;
}

struct tls_context *trust_old(struct relay *relay)
{
	if (!relay->old_tls)
		relay->old_tls = tls_old_client_context();
	return relay->old_tls;
}

void trust_use(struct trust *t)
{
	t->users++;
}

void trust_leave(struct trust *t)
{
	if (t)
		t->users--;
}

/* Connections hold references of their own to the context, so none loses it here. */
void trusts_sweep(struct relay *relay)
{
	LIST_EACH (i, &relay->trusts) {
		struct trust *t = CONTAINER_OF(i, struct trust, in_relay);

		if (t->users > 0)
			continue;
		list_remove(&t->in_relay);
		tls_context_unref(t->context);
		free((char *)t->ca_pem.p);
		free(t);
	}
}
