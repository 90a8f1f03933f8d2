/* check_tls.c - the part of `check` that tests all certificates together; the loader has tested each one by itself. */
#include "cli.h"

#include "posthouse/net.h"

#include <stdio.h>

unsigned check_certificates(const struct config *c)
{
	struct arena a = { 0 };
	struct tls_certificate *list = ARENA_ARRAY(&a, struct tls_certificate, c->certificates_n + 1);
	struct tls_server_options options = { .certificates = list,
					      .n = c->certificates_n,
					      .minimum = (enum tls_version)c->tls_minimum };
	struct tls_context *t = NULL;
	struct verdict why;

	for (size_t i = 0; i < c->certificates_n; i++)
		list[i] = (struct tls_certificate){ c->certificates[i].chain_pem, c->certificates[i].key_pem };
	if (c->certificates_n > 0)
		t = tls_server_context(&options, &a, &why);
	if (c->certificates_n > 0 && !t)
		fprintf(stderr, "%.*s: certificates: %.*s\n", STR_ARG(c->file), STR_ARG(why.text));
	for (size_t i = 0; t && i < c->certificates_n; i++)
		if (!tls_server_uses(t, i))
			fprintf(stderr,
				"%.*s: warning: certificates: no client can get %.*s: for each of its names an earlier "
				"certificate has the same kind of key; remove one, or give this one a key of another kind "
				"(RSA, ECDSA, Ed25519)\n",
				STR_ARG(c->file), STR_ARG(c->certificates[i].chain));
	tls_context_unref(t);
	arena_fini(&a);
	return c->certificates_n > 0 && !t;
}
