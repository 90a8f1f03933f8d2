/* test_tls_context.c - which certificates and keys make a context, and which versions and ciphers it speaks. */
#include "fixture.h"

#include <string.h>

#include <openssl/ssl.h>

static void test_contexts(void **state)
{
	struct fixture *f = *state;
	struct str chain, key, other_chain, other_key;
	struct verdict why;
	struct tls_context *t;

	make_certificate(&f->arena, "a.example", &chain, &key);
	make_certificate(&f->arena, "b.example", &other_chain, &other_key);
	const struct {
		struct str chain, key;
		const char *says; /* NULL: good */
	} cases[] = {
		{ chain, key, NULL },
		{ arena_printf(&f->arena, "%.*s%.*s", STR_ARG(chain), STR_ARG(other_chain)), key, NULL },
		{ chain, other_key, "does not belong" },
		{ S(""), key, "no certificate" },
		{ S("rubbish"), key, "no certificate" },
		{ key, key, "no certificate" },
		{ chain, S(""), "private key cannot be read" },
		{ chain, chain, "private key cannot be read" },
		{ arena_printf(&f->arena, "%.*s-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", STR_ARG(chain)),
		  key, "damaged" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		t = tls_server_context(cases[i].chain, cases[i].key, TLS_1_2, &f->arena, &why);
		if (!cases[i].says) {
			assert_non_null(t);
			assert_int_equal(why.class, OK);
		} else {
			assert_null(t);
			assert_int_equal(why.class, PERM);
			if (str_search(why.text, str_of(cases[i].says)) == why.text.n)
				fail_msg("case %zu: %.*s", i, STR_ARG(why.text));
		}
		tls_context_unref(t);
	}
	assert_null(tls_client_context(S("rubbish"), &f->arena, &why));
	assert_int_equal(why.class, PERM);
	t = tls_client_context(S(""), &f->arena, &why); /* the system's */
	assert_non_null(t);
	tls_context_unref(t);
}

/* ---- versions ---- */

/* A client of OpenSSL alone, to try what the server accepts. Returns the version it got, NULL for none. */
static const char *try_version(struct fixture *f, struct tls_context *server, int version, const char *ciphers)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl;
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	const char *got = NULL;
	char bytes[16384];
	int n;

	end_fini(&f->server);
	end_init(&f->server);
	f->accepted = 0;
	f->client.connects = 0;
	fixture_connect(f);
	SSL_CTX_set_min_proto_version(ctx, version);
	SSL_CTX_set_max_proto_version(ctx, version);
	assert_int_equal(SSL_CTX_set_cipher_list(ctx, ciphers), 1);
	ssl = SSL_new(ctx);
	SSL_set_bio(ssl, in, out);
	stream_start_server_tls(f->server.st, server);
	for (int round = 0; round < 5 && SSL_connect(ssl) != 1; round++) {
		while ((n = BIO_read(out, bytes, sizeof(bytes))) > 0)
			stream_write(f->client.st, str_make(bytes, (size_t)n));
		run_for(&f->loop, 30);
		BIO_write(in, buf_view(&f->client.got).p, (int)f->client.got.n);
		buf_clear(&f->client.got);
	}
	if (SSL_is_init_finished(ssl))
		got = SSL_get_version(ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	stream_close(f->client.st);
	stream_close(f->server.st);
	run_for(&f->loop, 10);
	f->client.ends = f->server.ends = 0;
	return got;
}

static void test_versions(void **state)
{
	struct fixture *f = *state;
	struct str chain, key;
	struct verdict why;
	const struct {
		enum tls_version minimum;
		int version;
		const char *ciphers, *got;
	} cases[] = {
		{ TLS_1_2, TLS1_3_VERSION, "DEFAULT", "TLSv1.3" },
		{ TLS_1_2, TLS1_2_VERSION, "DEFAULT", "TLSv1.2" },
		{ TLS_1_2, TLS1_1_VERSION, "DEFAULT:@SECLEVEL=0", NULL },
		{ TLS_1_0, TLS1_1_VERSION, "DEFAULT:@SECLEVEL=0", "TLSv1.1" },
		{ TLS_1_3, TLS1_2_VERSION, "DEFAULT", NULL },
		{ TLS_1_2, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", NULL }, /* no authenticated encryption */
		{ TLS_1_2, TLS1_2_VERSION, "AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256", NULL },
	};

	make_certificate(&f->arena, "mail.example.org", &chain, &key);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tls_context *t = tls_server_context(chain, key, cases[i].minimum, &f->arena, &why);
		const char *got = try_version(f, t, cases[i].version, cases[i].ciphers);

		if (!got != !cases[i].got || (got && strcmp(got, cases[i].got) != 0))
			fail_msg("case %zu: got %s", i, got ? got : "nothing");
		tls_context_unref(t);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { T(test_contexts), T(test_versions) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
