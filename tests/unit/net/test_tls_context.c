/* test_tls_context.c - which certificates and keys make a context, and which versions and ciphers it speaks. */
#include "peer.h"

#include <string.h>

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
		t = server_context(f, cases[i].chain, cases[i].key, TLS_1_2, &why);
		if (!cases[i].says) {
			assert_non_null(t);
			assert_int_equal(why.class, OK);
		} else {
			assert_null(t);
			assert_int_equal(why.class, PERM);
			if (!str_starts(why.text, S("certificate 1: ")) ||
			    str_search(why.text, str_of(cases[i].says)) == why.text.n)
				fail_msg("case %zu: %.*s", i, STR_ARG(why.text));
		}
		tls_context_unref(t);
	}
	assert_null(tls_client_context(S("rubbish"), &f->arena, &why));
	assert_int_equal(why.class, PERM);
	t = tls_client_context(S(""), &f->arena, &why); /* the system's */
	assert_non_null(t);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) { /* the client's own certificate, without its key */
		bool good = !cases[i].says || strstr(cases[i].says, "key") || strstr(cases[i].says, "belong");

		assert_int_equal(tls_client_certificate(t, cases[i].chain, &f->arena, &why), good);
		assert_true(good || why.class == PERM);
	}
	tls_context_unref(t);
}

/* What is wrong with several of them, and with the rest of the options. */
static void test_options(void **state)
{
	struct fixture *f = *state;
	struct tls_certificate c[3];
	struct tls_server_options options = { .certificates = c, .n = 3, .minimum = TLS_1_2 };
	struct verdict why;
	static const char key[80];

	for (size_t i = 0; i < 3; i++)
		make_certificate(&f->arena, "a.example", &c[i].chain_pem, &c[i].key_pem);
	c[1].key_pem = c[2].key_pem;
	assert_null(tls_server_context(&options, &f->arena, &why));
	assert_true(str_starts(why.text, S("certificate 2: the private key does not belong")));
	options.n = 1;
	options.ticket_secret = str_make(key, 39);
	assert_null(tls_server_context(&options, &f->arena, &why));
	assert_true(str_starts(why.text, S("the ticket secret")));
	options.n = 0;
	options.ticket_secret = S("");
	assert_null(tls_server_context(&options, &f->arena, &why));
	assert_int_equal(why.class, PERM);
	assert_true(str_starts(why.text, S("there is no certificate")));
}

/* ---- versions and ciphers ---- */

struct offer {
	enum tls_version minimum;
	bool legacy;
	int version;
	const char *ciphers, *got; /* the version and cipher; NULL: nothing */
};

static void try_offers(struct fixture *f, const struct tls_certificate *certificate, const struct offer *cases, size_t n)
{
	struct tls_server_options options = { .certificates = certificate, .n = 1 };
	struct verdict why;
	struct peer p;

	for (size_t i = 0; i < n; i++) {
		struct peer_wants wants = { .version = cases[i].version, .ciphers = cases[i].ciphers };
		struct tls_context *t;
		bool done;
		struct str got;

		options.minimum = cases[i].minimum;
		options.legacy = cases[i].legacy;
		t = tls_server_context(&options, &f->arena, &why);
		assert_non_null(t);
		done = peer_connect(&p, f, t, &wants);
		got = done ? arena_printf(&f->arena, "%s %s", SSL_get_version(p.ssl), SSL_get_cipher_name(p.ssl)) : S("nothing");
		if (!str_starts(got, str_of(cases[i].got ? cases[i].got : "nothing")))
			fail_msg("case %zu: got %.*s", i, STR_ARG(got));
		peer_free(&p);
		tls_context_unref(t);
	}
}

static void test_versions(void **state)
{
	struct fixture *f = *state;
	static const struct offer cases[] = {
		{ TLS_1_2, false, TLS1_3_VERSION, "DEFAULT", "TLSv1.3" },
		{ TLS_1_2, false, TLS1_2_VERSION, "DEFAULT", "TLSv1.2" },
		{ TLS_1_2, false, TLS1_1_VERSION, "DEFAULT:@SECLEVEL=0", NULL },
		{ TLS_1_2, false, TLS1_VERSION, "DEFAULT:@SECLEVEL=0", NULL },
		{ TLS_1_3, false, TLS1_2_VERSION, "DEFAULT", NULL },
		{ TLS_1_2, false, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", NULL }, /* no authenticated encryption */
		{ TLS_1_2, false, TLS1_2_VERSION, "AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256", NULL },
		{ TLS_1_2, true, TLS1_VERSION, "ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0", "TLSv1 ECDHE-ECDSA-AES128-SHA" },
		{ TLS_1_3, true, TLS1_1_VERSION, "DEFAULT:@SECLEVEL=0", "TLSv1.1" }, /* whatever the minimum says */
		{ TLS_1_2, true, TLS1_2_VERSION, "DEFAULT:@SECLEVEL=0", "TLSv1.2 ECDHE-ECDSA-AES256-GCM" },
		{ TLS_1_2, true, TLS1_3_VERSION, "DEFAULT:@SECLEVEL=0", "TLSv1.3" },
	};
	struct tls_certificate c;

	make_certificate(&f->arena, "mail.example.org", &c.chain_pem, &c.key_pem);
	try_offers(f, &c, cases, sizeof cases / sizeof cases[0]);
}

/* RSA certificates: forward secrecy is demanded, but for legacy. Preference is the server's. */
static void test_rsa(void **state)
{
	struct fixture *f = *state;
	static const struct offer cases[] = {
		{ TLS_1_2, false, TLS1_2_VERSION, "AES256-GCM-SHA384:AES128-SHA", NULL },
		{ TLS_1_2, false, TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", NULL },
		{ TLS_1_2, false, TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
		  "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384" },
		{ TLS_1_2, true, TLS1_VERSION, "AES128-SHA:@SECLEVEL=0", "TLSv1 AES128-SHA" },
		{ TLS_1_2, true, TLS1_2_VERSION, "AES128-SHA:ECDHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0",
		  "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256" },
		{ TLS_1_2, true, TLS1_2_VERSION, "aNULL:eNULL:@SECLEVEL=0", NULL },
	};
	struct tls_certificate c =
		make_certificate_as(&f->arena, &(struct certificate_recipe){ "mail.example.org", NULL, EVP_PKEY_RSA, NULL });

	try_offers(f, &c, cases, sizeof cases / sizeof cases[0]);
}

/* Key exchange by the groups that everybody has, and no others. */
static void test_groups(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *group;
		bool good;
	} cases[] = { { "X25519", true }, { "P-256", true }, { "P-384", true }, { "P-521", false }, { "ffdhe2048", false } };
	struct tls_context *t;
	struct str chain, key;
	struct verdict why;
	struct peer p;

	make_certificate(&f->arena, "mail.example.org", &chain, &key);
	t = server_context(f, chain, key, TLS_1_2, &why);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct peer_wants wants = { .version = TLS1_3_VERSION, .groups = cases[i].group };

		if (peer_connect(&p, f, t, &wants) != cases[i].good)
			fail_msg("group %s", cases[i].group);
		peer_free(&p);
	}
	tls_context_unref(t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = { T(test_contexts), T(test_options), T(test_versions), T(test_rsa), T(test_groups) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
