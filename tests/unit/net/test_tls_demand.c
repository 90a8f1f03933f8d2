/* test_tls_demand.c - a client that judges certificates by TLSA records (RFC 7672 3) or by fingerprints. */
#include "fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

/* Whose certificate or key a record is about. */
enum about { LEAF, AUTHORITY, STRANGER, ABOUTS };

struct world {
	struct fixture *f;
	struct tls_certificate made[ABOUTS];
	struct tls_context *server, *client; /* the client trusts the leaf as it is: that must not count */
};

static X509 *read_certificate(struct str pem)
{
	BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

	BIO_free(bio);
	assert_non_null(x);
	return x;
}

/* What a TLSA record holds for this certificate (RFC 6698 2.1). */
static struct str association(struct arena *a, struct str pem, unsigned selector, unsigned matching)
{
	X509 *x = read_certificate(pem);
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	int n = selector == TLSA_PUBLIC_KEY ? i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der) : i2d_X509(x, &der);
	struct str data = arena_str(a, str_make((const char *)der, (size_t)n));
	unsigned length = 0;

	OPENSSL_free(der);
	X509_free(x);
	if (matching == TLSA_WHOLE)
		return data;
	EVP_Digest(data.p, data.n, digest, &length, matching == TLSA_SHA2_512 ? EVP_sha512() : EVP_sha256(), NULL);
	return arena_str(a, str_make((const char *)digest, length));
}

/* A server mx.example.org whose certificate the authority has made; the chain has the authority too, or not. */
static void begin(struct world *w, struct fixture *f, bool sends_authority, long ends_s)
{
	struct certificate_recipe authority = { .name = "authority", .kind = EVP_PKEY_EC, .authority = true },
				  stranger = { .name = "stranger", .kind = EVP_PKEY_EC, .authority = true },
				  leaf = { .name = "mx.example.org",
					   .also = "DNS:mx.example.org",
					   .kind = EVP_PKEY_EC,
					   .ends_s = ends_s,
					   .issuer = &w->made[AUTHORITY] };
	struct str chain;
	struct verdict why;

	w->f = f;
	w->made[AUTHORITY] = make_certificate_as(&f->arena, &authority);
	w->made[STRANGER] = make_certificate_as(&f->arena, &stranger);
	w->made[LEAF] = make_certificate_as(&f->arena, &leaf);
	chain = sends_authority ? arena_printf(&f->arena, "%.*s%.*s", STR_ARG(w->made[LEAF].chain_pem),
					       STR_ARG(w->made[AUTHORITY].chain_pem))
				: w->made[LEAF].chain_pem;
	w->server = server_context(f, chain, w->made[LEAF].key_pem, TLS_1_2, &why);
	w->client = tls_client_context(w->made[LEAF].chain_pem, &f->arena, &why);
	assert_true(w->server && w->client);
}

static void end(struct world *w)
{
	tls_context_unref(w->server);
	tls_context_unref(w->client);
}

static void shake_hands(struct world *w, const struct tls_client_options *o)
{
	struct fixture *f = w->f;

	fixture_connect(f);
	stream_start_server_tls(f->server.st, w->server);
	stream_start_client_tls(f->client.st, w->client, o);
	assert_int_equal(f->client.handshakes, 0);
	assert_true(run_until(&f->loop, &f->client.handshakes, 1));
}

struct record {
	unsigned usage, selector, matching;
	enum about about;
};

#define MX    "mx.example.org"
#define OTHER "example.net"

static const struct row {
	const char *what;
	struct record records[3];
	size_t n;
	const char *names[2]; /* of the client; the second can be missing */
	bool without_authority;
	long ends_s;
	enum tls_result result;
} rows[] = {
	{ "3 1 1", { { 3, 1, 1, LEAF } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 0 1", { { 3, 0, 1, LEAF } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 0 2", { { 3, 0, 2, LEAF } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 1 2", { { 3, 1, 2, LEAF } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 0 0", { { 3, 0, 0, LEAF } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 1 0", { { 3, 1, 0, LEAF } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	/* RFC 7672 3.1.1: neither names nor dates count */
	{ "3 1 1, another name", { { 3, 1, 1, LEAF } }, 1, { OTHER }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 1 1, expired", { { 3, 1, 1, LEAF } }, 1, { MX }, true, -60, TLS_RESULT_SUCCESSFUL },
	{ "3 0 1, expired, another name", { { 3, 0, 1, LEAF } }, 1, { OTHER }, false, -60, TLS_RESULT_SUCCESSFUL },
	{ "3 1 1 of another key", { { 3, 1, 1, STRANGER } }, 1, { MX }, false, 0, TLS_RESULT_TLSA_INVALID },
	{ "3 1 1 of the authority", { { 3, 1, 1, AUTHORITY } }, 1, { MX }, false, 0, TLS_RESULT_TLSA_INVALID },
	{ "one of two", { { 3, 1, 1, STRANGER }, { 3, 1, 1, LEAF } }, 2, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	/* RFC 7671 9: of records that differ in the digest alone, the strongest one counts */
	{ "3 1 1, but not 3 1 2", { { 3, 1, 1, LEAF }, { 3, 1, 2, STRANGER } }, 2, { MX }, true, 0, TLS_RESULT_TLSA_INVALID },
	{ "3 1 1, but not 3 0 2", { { 3, 1, 1, LEAF }, { 3, 0, 2, STRANGER } }, 2, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	/* an authority that the server sends; RFC 7672 3.2.2: any of the names */
	{ "2 0 1", { { 2, 0, 1, AUTHORITY } }, 1, { MX }, false, 0, TLS_RESULT_SUCCESSFUL },
	{ "2 0 2", { { 2, 0, 2, AUTHORITY } }, 1, { MX }, false, 0, TLS_RESULT_SUCCESSFUL },
	{ "2 1 1", { { 2, 1, 1, AUTHORITY } }, 1, { MX }, false, 0, TLS_RESULT_SUCCESSFUL },
	{ "2 0 1, the second name", { { 2, 0, 1, AUTHORITY } }, 1, { OTHER, MX }, false, 0, TLS_RESULT_SUCCESSFUL },
	{ "2 0 1, no name", { { 2, 0, 1, AUTHORITY } }, 1, { OTHER }, false, 0, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
	{ "2 1 1, no name", { { 2, 1, 1, AUTHORITY } }, 1, { OTHER }, false, 0, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
	{ "2 0 1, expired", { { 2, 0, 1, AUTHORITY } }, 1, { MX }, false, -60, TLS_RESULT_CERTIFICATE_EXPIRED },
	{ "2 0 1 of another one", { { 2, 0, 1, STRANGER } }, 1, { MX }, false, 0, TLS_RESULT_TLSA_INVALID },
	{ "2 0 1 of the leaf", { { 2, 0, 1, LEAF } }, 1, { MX }, false, 0, TLS_RESULT_TLSA_INVALID },
	/* RFC 7672 3.1.2: without the authority only a record that holds it whole is of use */
	{ "2 0 1, not sent", { { 2, 0, 1, AUTHORITY } }, 1, { MX }, true, 0, TLS_RESULT_TLSA_INVALID },
	{ "2 0 0, not sent", { { 2, 0, 0, AUTHORITY } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "2 1 0, not sent", { { 2, 1, 0, AUTHORITY } }, 1, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "2 0 0, not sent, no name", { { 2, 0, 0, AUTHORITY } }, 1, { OTHER }, true, 0, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
	{ "2 1 0, not sent, no name", { { 2, 1, 0, AUTHORITY } }, 1, { OTHER }, true, 0, TLS_RESULT_CERTIFICATE_HOST_MISMATCH },
	{ "2 1 0 of another one", { { 2, 1, 0, STRANGER } }, 1, { MX }, true, 0, TLS_RESULT_TLSA_INVALID },
	/* what is unusable beside what is usable */
	{ "1 1 1 and 3 1 1", { { 1, 1, 1, STRANGER }, { 3, 1, 1, LEAF } }, 2, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 2 1 and 3 1 1", { { 3, 2, 1, LEAF }, { 3, 1, 1, LEAF } }, 2, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "3 1 3 and 3 1 1", { { 3, 1, 3, LEAF }, { 3, 1, 1, LEAF } }, 2, { MX }, true, 0, TLS_RESULT_SUCCESSFUL },
	{ "nothing usable", { { 0, 0, 1, AUTHORITY }, { 1, 1, 1, LEAF } }, 2, { MX }, false, 0, TLS_RESULT_VALIDATION_FAILURE },
};

static void check_row(const struct row *row)
{
	struct tlsa records[3];
	struct str names[2] = { str_of(row->names[0]), str_of(row->names[1] ? row->names[1] : "") };
	struct tls_client_options o = { .names = { names, row->names[1] ? 2 : 1 }, .demand = TLS_DEMAND_TLSA, .tlsa = records };
	struct stream_tls_info info;
	struct world w;
	void *state;

	fixture_setup(&state);
	begin(&w, state, !row->without_authority, row->ends_s);
	for (; o.tlsa_n < row->n; o.tlsa_n++) {
		const struct record *r = &row->records[o.tlsa_n];

		records[o.tlsa_n] =
			(struct tlsa){ .usage = (uint8_t)r->usage,
				       .selector = (uint8_t)r->selector,
				       .matching_type = (uint8_t)r->matching,
				       .data = association(&w.f->arena, w.made[r->about].chain_pem, r->selector, r->matching) };
	}
	shake_hands(&w, &o);
	stream_tls_info(w.f->client.st, &info);
	if (info.result != row->result)
		fail_msg("%s: %s: %.*s", row->what, tls_result_word(info.result), STR_ARG(w.f->client.tls.text));
	assert_int_equal(w.f->client.tls.class, row->result == TLS_RESULT_SUCCESSFUL ? OK : PERM);
	if (w.f->client.tls.class != OK)
		assert_true(str_eq(w.f->client.tls.enhanced, S("5.7.5")));
	end(&w);
	assert_int_equal(fixture_teardown(&state), 0);
}

static void test_tlsa(void **state)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i]);
}

/* Which records are usable; that full data can be read is part of it (RFC 6698 4.1). */
static void test_usable(void **state)
{
	struct fixture *f = *state;
	struct world w;
	struct str whole, key;

	begin(&w, f, true, 0);
	whole = association(&f->arena, w.made[LEAF].chain_pem, 0, 0);
	key = association(&f->arena, w.made[LEAF].chain_pem, 1, 0);
	assert_true(tls_takes_tlsa(&(struct tlsa){ 3, 0, 0, whole }));
	assert_true(tls_takes_tlsa(&(struct tlsa){ 2, 0, 0, whole }));
	assert_true(tls_takes_tlsa(&(struct tlsa){ 3, 1, 0, key }));
	assert_true(tls_takes_tlsa(&(struct tlsa){ 3, 1, 1, str_head(whole, 32) }));
	assert_true(tls_takes_tlsa(&(struct tlsa){ 3, 1, 2, str_head(whole, 64) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 1, 0, whole }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 0, 0, key }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 0, 0, str_head(whole, whole.n - 1) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 0, 0, S("") }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 1, 1, str_head(whole, 31) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 1, 1, str_head(whole, 64) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 1, 2, str_head(whole, 32) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 1, 3, str_head(whole, 32) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 3, 2, 1, str_head(whole, 32) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 0, 1, 1, str_head(whole, 32) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 1, 1, 1, str_head(whole, 32) }));
	assert_false(tls_takes_tlsa(&(struct tlsa){ 255, 1, 1, str_head(whole, 32) }));
	end(&w);
}

static void check_fingerprints(const struct str_list *fingerprints, struct world *w, enum tls_result result)
{
	struct fixture *f = w->f;
	struct stream_tls_info info;
	struct tls_fingerprints shown;

	shake_hands(w, &(struct tls_client_options){ .names = { &S("mx.example.net"), 1 },
						     .demand = TLS_DEMAND_FINGERPRINTS,
						     .fingerprints = *fingerprints });
	stream_tls_info(f->client.st, &info);
	assert_string_equal(tls_result_word(info.result), tls_result_word(result));
	if (fingerprints->n > 0) { /* what was shown is known, accepted or not */
		assert_true(stream_tls_fingerprints(f->client.st, &shown));
		assert_memory_equal(shown.certificate, association(&f->arena, w->made[LEAF].chain_pem, 0, 1).p, TLS_FINGERPRINT);
		assert_memory_equal(shown.key, association(&f->arena, w->made[LEAF].chain_pem, 1, 1).p, TLS_FINGERPRINT);
	}
	fixture_disconnect(f);
}

/* Of the certificate or of its key, whatever the certificate's dates and names are. */
static void test_fingerprints(void **state)
{
	struct fixture *f = *state;
	struct world w;
	struct str right[2], wrong[2];

	begin(&w, f, false, -60);
	for (unsigned selector = 0; selector < 2; selector++) {
		right[selector] = association(&f->arena, w.made[LEAF].chain_pem, selector, 1);
		wrong[selector] = association(&f->arena, w.made[STRANGER].chain_pem, selector, 1);
	}
	check_fingerprints(&(struct str_list){ &right[0], 1 }, &w, TLS_RESULT_SUCCESSFUL);
	check_fingerprints(&(struct str_list){ &right[1], 1 }, &w, TLS_RESULT_SUCCESSFUL);
	check_fingerprints(&(struct str_list){ (struct str[]){ wrong[1], right[1] }, 2 }, &w, TLS_RESULT_SUCCESSFUL);
	check_fingerprints(&(struct str_list){ wrong, 2 }, &w, TLS_RESULT_CERTIFICATE_NOT_TRUSTED);
	check_fingerprints(&(struct str_list){ wrong, 0 }, &w, TLS_RESULT_VALIDATION_FAILURE);
	end(&w);
}

static void check_judgement(const char *name, long ends_s, struct fixture *f, enum tls_result judged)
{
	struct stream_tls_info info;
	struct world w;

	begin(&w, f, true, ends_s);
	shake_hands(&w, &(struct tls_client_options){ .names = { &(struct str){ name, strlen(name) }, 1 }, .judge = true });
	stream_tls_info(f->client.st, &info);
	assert_true(info.on);
	assert_string_equal(tls_result_word(info.result), tls_result_word(TLS_RESULT_SUCCESSFUL));
	assert_string_equal(tls_result_word(info.judged), tls_result_word(judged));
	fixture_disconnect(f);
	end(&w);
}

/* Nothing is demanded: the session goes on, and what would have come of it is known. */
static void test_judged(void **state)
{
	check_judgement("mx.example.org", 0, *state, TLS_RESULT_SUCCESSFUL);
	check_judgement("mx.example.net", 0, *state, TLS_RESULT_CERTIFICATE_HOST_MISMATCH);
	check_judgement("mx.example.org", -60, *state, TLS_RESULT_CERTIFICATE_EXPIRED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_judged, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_tlsa),
		cmocka_unit_test_setup_teardown(test_usable, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_fingerprints, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests_name("net tls_demand", tests, NULL, NULL);
}
