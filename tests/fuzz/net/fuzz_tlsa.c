/* fuzz_tlsa.c - a TLSA record of a stranger's zone, as it goes to OpenSSL: what is said to be usable can be demanded of a
 * server, and what is not cannot. */
#include "fuzz.h"
#include "tls.h"

#include <openssl/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tls_context *client;
	struct str rest = str_make(data, size), name = S("mx.example.org");
	struct tlsa t = { .usage = (uint8_t)fuzz_byte(&rest) };
	struct tls_client_options o = { .names = { &name, 1 }, .demand = TLS_DEMAND_TLSA, .tlsa = &t, .tlsa_n = 1 };
	struct arena a = { 0 };
	struct verdict why;
	bool usable;
	SSL *ssl;

	t.selector = (uint8_t)fuzz_byte(&rest);
	t.matching_type = (uint8_t)fuzz_byte(&rest);
	t.data = rest;
	usable = tls_takes_tlsa(&t);
	if (!client)
		client = tls_client_context(S(""), &a, &why);
	ssl = SSL_new(client->sets[0].ctx);
	assert((tls_demand(ssl, &o, NULL) == NULL) == usable);
	assert(!usable || t.usage == TLSA_DANE_TA || t.usage == TLSA_DANE_EE);
	SSL_free(ssl);
	ERR_clear_error();
	arena_fini(&a);
	return 0;
}
