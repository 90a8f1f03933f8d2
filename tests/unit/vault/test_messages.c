/* test_messages.c - the vault's real process; master, submission and relay are played by the test. */
#include "../role/played.h"

#include "posthouse/mail.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#define DIGEST S("0123456789abcdef0123456789abcdef")

static const char *program;

static struct world {
	struct played role;
	uv_loop_t loop;
	EVP_PKEY *rsa, *next, *ed25519;
	struct cfg_sign keys[2];
	struct cfg_upstream upstreams[2];
	struct config config;
	unsigned answered;
	struct verdict verdict;
	struct str response;
	uint64_t done;
	struct str signatures[4];
	size_t signatures_n;
} world;

static const struct ipc_handlers none;

static struct str pem_of(struct arena *a, EVP_PKEY *key)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct str pem;
	char *p;
	long n;

	assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
	n = BIO_get_mem_data(bio, &p);
	pem = arena_str(a, str_make(p, (size_t)n));
	BIO_free(bio);
	return pem;
}

static int setup(void **state)
{
	struct world *w = &world;

	*w = (struct world){ .rsa = EVP_RSA_gen(2048), .next = EVP_RSA_gen(2048) };
	w->ed25519 = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	uv_loop_init(&w->loop);
	w->role = (struct played){ .loop = &w->loop, .role = ROLE_VAULT, .program = program };
	w->keys[0] = (struct cfg_sign){ S("example.org"), .selector = S("r"), .key = S("/r"),
					.key_pem = pem_of(&w->role.arena, w->rsa) };
	w->keys[1] = (struct cfg_sign){ S("example.org"), .selector = S("e"), .key = S("/e"),
					.key_pem = pem_of(&w->role.arena, w->ed25519) };
	w->upstreams[0] = (struct cfg_upstream){ .name = S("isp"), .login = S("me"), .password = S("secret") };
	w->upstreams[1] = (struct cfg_upstream){ .name = S("open") };
	w->config = (struct config){ .sign = w->keys, .sign_n = 2, .upstreams = w->upstreams, .upstreams_n = 2 };
	played_start(&w->role, &w->config);
	played_connect(&w->role, ROLE_QUEUE, &none);
	played_connect(&w->role, ROLE_RELAY, &none);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	played_end(&w->role);
	EVP_PKEY_free(w->rsa);
	EVP_PKEY_free(w->next);
	EVP_PKEY_free(w->ed25519);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&w->loop);
}

/* ---- signatures ---- */
static void on_signatures(void *ctx, struct verdict v, const struct msg_signatures *m, int fd)
{
	struct world *w = ctx;

	assert_non_null(m);
	w->verdict = verdict_keep(&w->role.arena, m->verdict);
	w->signatures_n = m->signatures.n;
	for (size_t i = 0; i < m->signatures.n && i < 4; i++)
		w->signatures[i] = arena_str(&w->role.arena, m->signatures.at[i].signature);
	w->answered++;
}

static enum verdict_class sign(struct world *w, struct str domain, const struct rec_digest *digests, size_t n)
{
	struct msg_sign m = { .message = 1, .domain = domain, .digests = { (struct rec_digest *)(uintptr_t)digests, n } };
	unsigned answered = w->answered + 1;

	ipc_call_sign(w->role.peers[ROLE_QUEUE], &m, -1, on_signatures, w);
	assert_true(run_until(&w->loop, &w->answered, answered));
	return w->verdict.class;
}

static bool is_by(EVP_PKEY *key, struct str signature)
{
	EVP_PKEY_CTX *verify = EVP_PKEY_CTX_new(key, NULL);
	bool good = EVP_PKEY_verify_init(verify) > 0 && EVP_PKEY_CTX_set_rsa_padding(verify, RSA_PKCS1_PADDING) > 0 &&
		    EVP_PKEY_CTX_set_signature_md(verify, EVP_sha256()) > 0 &&
		    EVP_PKEY_verify(verify, (const unsigned char *)signature.p, signature.n, (const unsigned char *)DIGEST.p,
				    32) == 1;

	EVP_PKEY_CTX_free(verify);
	return good;
}

static const struct rec_digest both[] = { { S("r"), DKIM_RSA_SHA256, DIGEST }, { S("e"), DKIM_ED25519_SHA256, DIGEST } };

/* All signatures of a message, or none. */
static void test_what_is_not_signed(void **state)
{
	struct world *w = *state;
	struct {
		struct str domain;
		struct rec_digest digests[2];
		size_t n;
	} bad[] = {
		{ S("example.net"), { both[0], both[1] }, 2 },                                 /* no key of that domain */
		{ S("example.org"), { both[0], { S("x"), DKIM_ED25519_SHA256, DIGEST } }, 2 }, /* no such selector */
		{ S("example.org"), { both[0], { S("e"), DKIM_RSA_SHA256, DIGEST } }, 2 },     /* its key is of the other kind */
		{ S("example.org"), { both[0], { S("e"), DKIM_ED25519_SHA256, S("short") } }, 2 },
		{ S("example.org"), { { S("r"), DKIM_RSA_SHA256, S("0123456789abcdef0123456789abcdef0") }, both[1] }, 2 },
		{ S("example.org"), { both[0], { S("e"), 7, DIGEST } }, 2 },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(sign(w, bad[i].domain, bad[i].digests, bad[i].n), TEMP);
		assert_int_equal(w->verdict.code, 451);
		assert_int_equal(w->signatures_n, 0);
	}
	assert_int_equal(sign(w, S("EXAMPLE.org"), both, 2), OK);
	assert_int_equal(w->signatures_n, 2);
	assert_true(is_by(w->rsa, w->signatures[0]));
	assert_int_equal(w->signatures[1].n, 64);
}

/* A reload changes the keys; one that names a damaged key is refused, and the keys stay. */
static void test_a_reload_changes_the_keys(void **state)
{
	struct world *w = *state;
	struct cfg_sign keys[] = { w->keys[0], w->keys[1] };
	struct config other = w->config;

	other.sign = keys;
	keys[0].key_pem = S("damaged");
	assert_false(played_configure(&w->role, &other));
	assert_true(str_search(w->role.configure_verdict.text, S("(/r)")) < w->role.configure_verdict.text.n);
	assert_int_equal(sign(w, S("example.org"), both, 2), OK);
	assert_true(is_by(w->rsa, w->signatures[0]));

	keys[0].key_pem = pem_of(&w->role.arena, w->next);
	assert_true(played_configure(&w->role, &other));
	assert_int_equal(sign(w, S("example.org"), both, 2), OK);
	assert_true(is_by(w->next, w->signatures[0]));
	assert_false(is_by(w->rsa, w->signatures[0]));

	other.sign_n = 1;
	assert_true(played_configure(&w->role, &other));
	assert_int_equal(sign(w, S("example.org"), both, 2), TEMP);
	assert_int_equal(sign(w, S("example.org"), both, 1), OK);
}

/* ---- logins at upstreams ---- */
static void on_reply(void *ctx, struct verdict v, const struct msg_upstream_reply *m, int fd)
{
	struct world *w = ctx;

	assert_non_null(m);
	w->verdict = verdict_keep(&w->role.arena, m->verdict);
	w->response = arena_str(&w->role.arena, m->response);
	w->done = m->done;
	w->answered++;
}

static enum verdict_class step(struct world *w, struct msg_upstream_step m)
{
	unsigned answered = w->answered + 1;

	ipc_call_upstream_step(w->role.peers[ROLE_RELAY], &m, -1, on_reply, w);
	assert_true(run_until(&w->loop, &w->answered, answered));
	return w->verdict.class;
}

static void test_upstreams(void **state)
{
	struct world *w = *state;
	struct msg_upstream_step m = { .upstream = S("isp"), .connection = 1, .mechanism = S("plain"), .first = 1 };

	assert_int_equal(step(w, m), OK);
	assert_true(str_eq(w->response, S("\0me\0secret")));
	assert_int_equal(w->done, 1);
	m.upstream = S("nobody");
	assert_int_equal(step(w, m), TEMP);
	assert_int_equal(w->response.n, 0);
	m.upstream = S("open"); /* without a login */
	assert_int_equal(step(w, m), TEMP);
	m.upstream = S("isp");
	m.mechanism = S("NTLM");
	assert_int_equal(step(w, m), TEMP);
	m.mechanism = S("PLAIN");
	m.first = 0;
	assert_int_equal(step(w, m), TEMP);
	assert_int_equal(w->response.n, 0);
}

/* A SCRAM dialogue belongs to one connection, and to one life of relay. */
static void test_scram_dialogues(void **state)
{
	struct world *w = *state;
	struct msg_upstream_step m = { .upstream = S("isp"), .connection = 1, .mechanism = S("SCRAM-SHA-256"), .first = 1 };

	assert_int_equal(step(w, m), OK);
	assert_true(str_starts(w->response, S("n,,n=me,r=")));
	assert_int_equal(w->done, 0);
	m.first = 0;
	m.challenge = S("r=of another client,s=c2FsdA==,i=4096");
	m.connection = 2; /* which has begun none */
	assert_int_equal(step(w, m), TEMP);
	m.connection = 1;
	assert_int_equal(step(w, m), TEMP); /* the nonce is not the client's */
	assert_int_equal(step(w, m), TEMP); /* and so it is over */
	m.first = 1;
	m.challenge = S("");
	assert_int_equal(step(w, m), OK);
	played_disconnect(&w->role, ROLE_RELAY);
	run_for(&w->loop, 50);
	played_connect(&w->role, ROLE_RELAY, &none);
	m.first = 0;
	m.challenge = S("r=x,s=c2FsdA==,i=4096");
	assert_int_equal(step(w, m), TEMP);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_not_signed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_reload_changes_the_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_upstreams, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scram_dialogues, setup, teardown),
	};

	assert_int_equal(argc, 2);
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
