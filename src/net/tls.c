/* tls.c - settings of all TLS contexts, and the contexts of the client: the requirements for next hops. */
#include "remote_key.h"
#include "tls.h"
#include "tls_sessions.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>

/* Next hops can be old: forward secrecy and authenticated encryption first, then other ciphers that are not broken. */
#define CLIENT_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AESGCM:DHE+AES:RSA+AESGCM:RSA+AES:!aNULL:!eNULL:!PSK:!SRP"

/* A key must not ask a terminal for a passphrase. */
int tls_no_passphrase(char *to, int size, int writing, void *ctx)
{
	return -1;
}

/* PERM with the step that failed and OpenSSL's reason. */
struct verdict tls_fault(struct arena *a, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	struct str text = reason ? arena_printf(a, "%s: %s", what, reason) : arena_printf(a, "%s", what);

	ERR_clear_error();
	return perm(0, S(""), text);
}

/* A memory BIO over `text`. */
BIO *tls_text_bio(struct str text)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);

	if (!bio)
		abort();
	return bio;
}

/* Settings of client and server. Decrypted bytes can be a password: OpenSSL wipes its own copies. */
SSL_CTX *tls_ctx_new(const SSL_METHOD *method)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (!ctx)
		abort();
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return ctx;
}

/* A context with room for so many sets, none of them filled. */
struct tls_context *tls_context_new(size_t sets)
{
	struct tls_context *t = NEW(struct tls_context);

	t->sets = sets > 0 ? xcalloc(sets, sizeof t->sets[0]) : NULL;
	t->references = 1;
	return t;
}

/* Trust the certificates of this text: of an authority, or of the next hop itself. */
static bool trust(SSL_CTX *ctx, struct str pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = tls_text_bio(pem);
	size_t n = 0;
	bool good = true;
	X509 *x;

	while (good && (x = PEM_read_bio_X509_AUX(bio, NULL, tls_no_passphrase, NULL))) {
		good = X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
		n++;
	}
	BIO_free(bio);
	X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	return good && n > 0;
}

struct tls_context *tls_client_context(struct str ca_pem, struct arena *a, struct verdict *why_out)
{
	struct tls_context *t = tls_context_new(1);
	SSL_CTX *ctx = tls_ctx_new(TLS_client_method());
	bool good;

	t->sets[t->n++].ctx = ctx;
	ERR_clear_error();
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	if (SSL_CTX_set_cipher_list(ctx, CLIENT_CIPHERS) != 1 || SSL_CTX_dane_enable(ctx) != 1)
		abort();
	/* Not SSL_CTX_set_default_verify_paths(): it adds a third place, which reads the whole directory at every handshake. */
	good = ca_pem.n ? trust(ctx, ca_pem)
			: SSL_CTX_set_default_verify_file(ctx) == 1 && SSL_CTX_set_default_verify_dir(ctx) == 1;
	if (!good) {
		*why_out = tls_fault(a, "the CA certificates cannot be read");
		tls_context_unref(t);
		return NULL;
	}
	ERR_clear_error();
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	t->sessions = tls_sessions_new();
	*why_out = ok();
	return t;
}

void tls_client_forget_sessions(struct tls_context *t)
{
	tls_sessions_clear(t->sessions);
}

static const char *use_certificate(struct tls_context *t, struct certificate *c)
{
	SSL_CTX *ctx = t->sets[0].ctx;
	unsigned char *public = NULL;
	int n = i2d_PUBKEY(X509_get0_pubkey(c->leaf), &public);

	c->key = remote_key_new(c->leaf);
	t->remote_key = n > 0 && EVP_Digest(public, (size_t)n, (unsigned char *)t->key_id, NULL, EVP_sha256(), NULL) == 1 &&
			c->key && SSL_CTX_use_cert_and_key(ctx, c->leaf, c->key, c->chain, 1) == 1;
	OPENSSL_free(public);
	if (!t->remote_key)
		return "OpenSSL does not take it";
	remote_key_use(ctx);
	return NULL;
}

bool tls_client_certificate(struct tls_context *t, struct str chain_pem, struct arena *a, struct verdict *why_out)
{
	struct certificate c;
	const char *fault = certificate_read_chain(&c, chain_pem);

	if (!fault)
		fault = use_certificate(t, &c);
	if (fault)
		*why_out = tls_fault(a, fault);
	certificate_fini(&c);
	return !fault;
}

struct tls_context *tls_old_client_context(void)
{
	struct tls_context *t = tls_context_new(1);
	SSL_CTX *ctx = tls_ctx_new(TLS_client_method());

	t->sets[t->n++].ctx = ctx;
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	if (SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL:@SECLEVEL=0") != 1)
		abort();
	return t;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
	t->references++;
	return t;
}

void tls_context_unref(struct tls_context *t)
{
	if (!t || --t->references > 0)
		return;
	for (size_t i = 0; i < t->n; i++)
		SSL_CTX_free(t->sets[i].ctx);
	free(t->sets);
	ticket_keys_free(t->tickets);
	tls_sessions_free(t->sessions);
	arena_fini(&t->arena);
	free(t);
}
