/* test_tls_abuse.c - peers that mean no good: floods inside TLS, handshakes that break off, drip or never come, readers that do not read. */
#include "peer.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/kdf.h>
#include <string.h>
#include <sys/socket.h>

static struct tls_context *make_server(struct fixture *f)
{
	struct str chain, key;
	struct verdict why;
	struct tls_context *t;

	make_certificate(&f->arena, "mail.example.org", &chain, &key);
	t = server_context(f, chain, key, TLS_1_2, &why);
	assert_non_null(t);
	return t;
}

static void close_it(struct end *e)
{
	stream_close(e->st);
}

/* The client's descriptor, for what no stream would do. */
static int client_socket(struct fixture *f)
{
	uv_os_fd_t fd;

	assert_int_equal(uv_fileno((uv_handle_t *)f->client.st, &fd), 0);
	return fd;
}

/* ---- floods ---- */

/* The client's key and the fixed part of its nonces (RFC 5288 section 3), for TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256. */
static void client_keys(SSL *ssl, unsigned char key[16], unsigned char salt[4])
{
	unsigned char master[48], seed[13 + 64] = "key expansion", block[40];
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[4];
	char digest[] = "SHA256";

	SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof master);
	SSL_get_server_random(ssl, seed + 13, 32);
	SSL_get_client_random(ssl, seed + 13 + 32, 32);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, sizeof master);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed);
	params[3] = OSSL_PARAM_construct_end();
	assert_int_equal(EVP_KDF_derive(ctx, block, sizeof block, params), 1);
	memcpy(key, block, 16);
	memcpy(salt, block + 32, 4);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

/* A record of any type, as the client's OpenSSL would not make it. */
static struct str seal(struct arena *a, SSL *ssl, unsigned char type, struct str text, unsigned char sequence)
{
	unsigned char key[16], nonce[12] = { 0 },
			       aad[13] = { [7] = sequence, [8] = type, [9] = 3, [10] = 3, [12] = (unsigned char)text.n };
	size_t size = 5 + 8 + text.n + 16;
	unsigned char *record = arena_alloc(a, size);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n;

	client_keys(ssl, key, nonce);
	nonce[11] = sequence;
	memcpy(record, (unsigned char[]){ type, 3, 3, 0, (unsigned char)(size - 5) }, 5);
	memcpy(record + 5, nonce + 4, 8);
	EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce);
	EVP_EncryptUpdate(ctx, NULL, &n, aad, sizeof aad);
	EVP_EncryptUpdate(ctx, record + 13, &n, (const unsigned char *)text.p, (int)text.n);
	EVP_EncryptFinal_ex(ctx, record + 13 + n, &n);
	EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, record + 13 + text.n);
	EVP_CIPHER_CTX_free(ctx);
	return str_make(record, size);
}

static void ask_to_renegotiate(struct peer *p, unsigned char sequence)
{
	stream_write(p->f->client.st, seal(&p->f->arena, p->ssl, 22, S("\1\0\0\0"), sequence));
}

/* RFC 5246 section 7.2.2: a client that asks to renegotiate is refused by an alert, and the session goes on. */
static void test_renegotiation(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f);
	struct peer p;

	assert_true(peer_connect(&p, f, t,
				 &(struct peer_wants){ .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }));
	ask_to_renegotiate(&p, 1);
	stream_write(f->client.st, seal(&f->arena, p.ssl, 23, S("NOOP\r\n"), 2));
	assert_true(run_until_received(&f->loop, &f->server, 6));
	assert_true(peer_receive(&p));
	assert_true(SSL_read(p.ssl, (char[1]){ 0 }, 1) <= 0);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
	assert_int_equal(f->server.ends, 0);
	peer_free(&p);
	tls_context_unref(t);
}

/* Who asks again and again is not served. */
static void test_renegotiation_flood(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f);
	unsigned char sequence = 0;
	struct peer p;

	assert_true(peer_connect(&p, f, t,
				 &(struct peer_wants){ .version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" }));
	f->server.end_hook = close_it;
	while (++sequence < 250)
		ask_to_renegotiate(&p, sequence);
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_true(str_eq(f->server.why, S("TLS: too many renegotiations or key updates")));
	peer_free(&p);
	tls_context_unref(t);
}

/* RFC 8446 section 4.6.3: each request for new keys costs us a derivation and an answer. */
static void test_key_update_flood(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f);
	struct peer p;

	assert_true(peer_connect(&p, f, t, &(struct peer_wants){ .version = TLS1_3_VERSION }));
	f->server.end_hook = close_it;
	for (unsigned i = 0; i < 5; i++) { /* a few are nothing strange */
		assert_int_equal(SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_write(p.ssl, "NOOP\r\n", 6), 6);
	}
	peer_send(&p);
	assert_true(run_until_received(&f->loop, &f->server, 30));
	assert_int_equal(f->server.ends, 0);
	for (unsigned i = 0; i < 1000; i++) {
		SSL_key_update(p.ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(p.ssl);
	}
	peer_send(&p);
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	assert_true(str_eq(f->server.why, S("TLS: too many renegotiations or key updates")));
	peer_free(&p);
	tls_context_unref(t);
}

/* ---- handshakes ---- */

/* The first flight of a client. */
static struct str hello_of(struct fixture *f)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
	char bytes[4096];
	struct str hello;

	SSL_set_bio(ssl, in, out);
	assert_true(SSL_connect(ssl) < 0);
	hello = arena_str(&f->arena, str_make(bytes, (size_t)BIO_read(out, bytes, sizeof bytes)));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return hello;
}

/* A connection reset at every stage of the handshake. */
static void test_reset(void **state)
{
	const struct linger at_once = { .l_onoff = 1 };

	for (unsigned sent = 0; sent < 4; sent++) {
		struct fixture *f;
		struct str hello;
		struct tls_context *t;
		void *own;

		fixture_setup(&own);
		f = own;
		t = make_server(f);
		hello = hello_of(f);
		fixture_connect(f);
		f->server.tls_hook = close_it;
		stream_start_server_tls(f->server.st, t);
		stream_write(f->client.st, str_head(hello, hello.n * sent / 3));
		if (sent == 3) /* the server's flight is out */
			assert_true(run_until_received(&f->loop, &f->client, 500));
		else
			run_for(&f->loop, 5);
		setsockopt(client_socket(f), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		stream_close(f->client.st);
		assert_true(run_until(&f->loop, &f->server.closes, 1));
		assert_int_equal(f->server.tls.class, TEMP);
		assert_int_equal(f->server.ends, 0);
		tls_context_unref(t);
		assert_int_equal(fixture_teardown(&own), 0);
	}
}

/* A byte at a time: slow, but a handshake. */
static void test_drip(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f);
	struct str hello = hello_of(f);

	fixture_connect(f);
	stream_start_server_tls(f->server.st, t);
	for (size_t i = 0; i < hello.n; i++) {
		assert_int_equal(f->client.received, 0);
		assert_int_equal(send(client_socket(f), hello.p + i, 1, MSG_NOSIGNAL), 1);
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
	assert_true(run_until_received(&f->loop, &f->client, 500)); /* the server's flight */
	assert_int_equal(f->server.handshakes, 0);
	tls_context_unref(t);
}

/* Nothing comes, or half a record; the user's patience ends. What was allocated is gone: the sanitizer counts. */
static void test_silence(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f);

	for (unsigned sent = 0; sent < 3; sent++) {
		fixture_connect(f);
		stream_start_server_tls(f->server.st, t);
		stream_write(f->client.st, str_head(hello_of(f), 100 * sent));
		run_for(&f->loop, 5);
		assert_int_equal(f->server.handshakes, 0);
		if (sent == 1)
			stream_finish(f->server.st);
		else
			stream_close(f->server.st);
		assert_true(run_until(&f->loop, &f->client.ends, 1));
		fixture_disconnect(f);
	}
	tls_context_unref(t);
}

/* ---- the announced length of a hello ---- */

/* A handshake message in records of at most `piece` bytes. */
static struct str records(struct arena *a, struct str message, size_t piece)
{
	char *whole = arena_alloc(a, message.n * 6);
	size_t n = 0;

	for (; message.n > 0; message = str_from(message, piece)) {
		struct str part = str_head(message, piece);

		memcpy(whole + n, (char[]){ 22, 3, 1, (char)(part.n >> 8), (char)part.n }, 5);
		memcpy(whole + n + 5, part.p, part.n);
		n += 5 + part.n;
	}
	return str_make(whole, n);
}

/* Refused as soon as the length is there: OpenSSL would make room for it. */
static void test_hello_size(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct str message;
		size_t piece;
		bool good;
	} cases[] = {
		{ { "\1\0\x40\0\3\3", 6 }, 16384, true }, { { "\1\0\x40\1\3\3", 6 }, 16384, false },
		{ { "\1\2\0\0", 4 }, 16384, false },      { { "\1\2\0\0", 4 }, 1, false },
		{ { "\1\xff\xff\xff", 4 }, 2, false },    { { "\1\0\x40\0", 4 }, 1, true },
	};
	struct tls_context *t = make_server(f);

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct str bytes = records(&f->arena, cases[i].message, cases[i].piece);

		fixture_connect(f);
		stream_start_server_tls(f->server.st, t);
		for (size_t at = 0; at < bytes.n && f->server.handshakes == 0; at++) {
			assert_int_equal(send(client_socket(f), bytes.p + at, 1, MSG_NOSIGNAL), 1);
			run_for(&f->loop, 1);
		}
		if (cases[i].good) {
			run_for(&f->loop, 10);
			assert_int_equal(f->server.handshakes, 0);
		} else {
			assert_true(run_until(&f->loop, &f->server.handshakes, 1));
			assert_true(str_eq(f->server.tls.text, S("TLS handshake: the client's hello is too large")));
		}
		fixture_disconnect(f);
	}
	tls_context_unref(t);
}

/* The second one too, which a server asks for that wants another group. */
static void test_second_hello_size(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f);
	struct peer_wants wants = { .version = TLS1_3_VERSION, .groups = "P-521:P-256" };
	struct peer p;

	assert_true(peer_connect(&p, f, t, &wants)); /* a good one */
	peer_free(&p);
	peer_begin(&p, f, t, &wants);
	f->server.tls_hook = NULL;
	assert_true(peer_receive(&p)); /* the request */
	stream_write(f->client.st, S("\x14\3\3\0\1\1\x16\3\3\0\4\1\1\x86\xa0"));
	assert_true(run_until(&f->loop, &f->server.handshakes, 1));
	assert_true(str_eq(f->server.tls.text, S("TLS handshake: the client's hello is too large")));
	peer_free(&p);
	tls_context_unref(t);
}

/* ---- readers that do not read ---- */

static void test_slow_reader(void **state)
{
	struct fixture *f = *state;
	struct tls_context *t = make_server(f);
	static char much[8 << 20];
	unsigned drains;
	struct peer p;

	assert_true(peer_connect(&p, f, t, &(struct peer_wants){ .version = TLS1_3_VERSION }));
	assert_true(run_until(&f->loop, &f->server.drains, 1));
	drains = f->server.drains;
	f->client.take_max = 1; /* stops its reading */
	for (unsigned i = 0; i < 4; i++)
		stream_write(f->server.st, str_make(much, sizeof much));
	run_for(&f->loop, 50);
	assert_true(stream_pending(f->server.st) > sizeof much);
	assert_int_equal(f->server.drains, drains);
	/* at most what may be unsent: then the connection is broken, and what was kept for it is gone */
	for (unsigned i = 0; i < 16; i++)
		stream_write(f->server.st, str_make(much, sizeof much));
	assert_true(stream_pending(f->server.st) <= (size_t)64 << 20);
	assert_true(run_until(&f->loop, &f->server.ends, 1));
	assert_true(f->server.why.n > 0);
	stream_finish(f->server.st);
	assert_true(run_until(&f->loop, &f->server.closes, 1));
	peer_free(&p);
	tls_context_unref(t);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(test_renegotiation),
		T(test_renegotiation_flood),
		T(test_key_update_flood),
		cmocka_unit_test(test_reset),
		T(test_drip),
		T(test_silence),
		T(test_hello_size),
		T(test_second_hello_size),
		T(test_slow_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
