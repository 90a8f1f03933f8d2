/* tls.c - TLS contexts: what we offer as a server, what we demand as a client. */
#include "stream.h"

#include "posthouse/arena.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

/* RFC 9325: forward secrecy and authenticated encryption for TLS 1.2; TLS 1.3 has nothing else. */
#define SERVER_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
/* When the administrator wants clients that cannot do TLS 1.2: what they have, and the SHA-1 signatures they know. */
#define OLD_CIPHERS SERVER_CIPHERS ":ECDHE+AES:@SECLEVEL=0"
/* Next hops are what they are: the same first, then what else is not broken. */
#define CLIENT_CIPHERS SERVER_CIPHERS ":ECDHE+AES:DHE+AESGCM:DHE+AES:RSA+AESGCM:RSA+AES:!aNULL:!eNULL:!PSK:!SRP"

struct tls_context {
	SSL_CTX *ctx;
	unsigned references;
};

/* No key we are given may ask a terminal for a passphrase. */
static int no_passphrase(char *to, int size, int writing, void *ctx)
{
	return -1;
}

/* PERM with what was being done and OpenSSL's reason. */
static struct verdict tls_fault(struct arena *a, const char *what)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());
	struct str text = reason ? arena_printf(a, "%s: %s", what, reason) : arena_printf(a, "%s", what);

	ERR_clear_error();
	return perm(0, S(""), text);
}

/* A memory BIO over `text`. */
static BIO *text_bio(struct str text)
{
	BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);

	if (!bio)
		abort();
	return bio;
}

/* What both sides have in common. */
static struct tls_context *context_new(const SSL_METHOD *method)
{
	struct tls_context *t = NEW(struct tls_context);

	t->ctx = SSL_CTX_new(method);
	if (!t->ctx)
		abort();
	t->references = 1;
	SSL_CTX_set_options(t->ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_session_cache_mode(t->ctx, SSL_SESS_CACHE_OFF);
	return t;
}

/* The certificate and what follows it in the file. */
static bool use_chain(SSL_CTX *ctx, struct str pem, struct arena *a, struct verdict *why_out)
{
	BIO *bio = text_bio(pem);
	X509 *x = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL);
	const char *fault = NULL;
	unsigned long last;

	if (!x)
		fault = "the chain has no certificate that can be read";
	else if (SSL_CTX_use_certificate(ctx, x) != 1)
		fault = "the certificate cannot be used";
	X509_free(x);
	while (!fault && (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL))) {
		if (SSL_CTX_add0_chain_cert(ctx, x) == 1)
			continue;
		X509_free(x);
		fault = "a certificate of the chain cannot be used";
	}
	last = ERR_peek_last_error();
	if (!fault && !(ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE))
		fault = "the chain is damaged after its first certificate";
	if (fault)
		*why_out = tls_fault(a, fault);
	ERR_clear_error();
	BIO_free(bio);
	return !fault;
}

/* The private key, which must belong to the certificate. */
static bool use_key(SSL_CTX *ctx, struct str pem, struct arena *a, struct verdict *why_out)
{
	BIO *bio = text_bio(pem);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	const char *fault = NULL;

	if (!key)
		fault = "the private key cannot be read (it must be PEM without a passphrase)";
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		fault = "the private key does not belong to the certificate";
	if (fault)
		*why_out = tls_fault(a, fault);
	EVP_PKEY_free(key);
	BIO_free(bio);
	return !fault;
}

static int protocol_version(enum tls_version version)
{
	switch (version) {
	case TLS_1_0: return TLS1_VERSION;
	case TLS_1_1: return TLS1_1_VERSION;
	case TLS_1_2: return TLS1_2_VERSION;
	case TLS_1_3: return TLS1_3_VERSION;
	}
	return TLS1_2_VERSION;
}

struct tls_context *tls_server_context(struct str chain_pem, struct str key_pem, enum tls_version minimum, struct arena *a,
				       struct verdict *why_out)
{
	struct tls_context *t = context_new(TLS_server_method());

	ERR_clear_error();
	if (!use_chain(t->ctx, chain_pem, a, why_out) || !use_key(t->ctx, key_pem, a, why_out)) {
		tls_context_unref(t);
		return NULL;
	}
	if (SSL_CTX_set_cipher_list(t->ctx, minimum < TLS_1_2 ? OLD_CIPHERS : SERVER_CIPHERS) != 1 ||
	    SSL_CTX_set_min_proto_version(t->ctx, protocol_version(minimum)) != 1) {
		*why_out = tls_fault(a, "the minimum TLS version cannot be had");
		tls_context_unref(t);
		return NULL;
	}
	SSL_CTX_set_options(t->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	/* Resumption by tickets alone, so a session costs us nothing once it is closed; never early data. */
	SSL_CTX_set_session_id_context(t->ctx, (const unsigned char *)"posthouse", 9);
	SSL_CTX_set_num_tickets(t->ctx, 1);
	SSL_CTX_set_max_early_data(t->ctx, 0);
	*why_out = ok();
	return t;
}

/* Trust the certificates of this text, whatever they are: an authority, or the very certificate of the next hop. */
static bool trust(SSL_CTX *ctx, struct str pem)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	BIO *bio = text_bio(pem);
	size_t n = 0;
	bool good = true;
	X509 *x;

	while (good && (x = PEM_read_bio_X509_AUX(bio, NULL, no_passphrase, NULL))) {
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
	struct tls_context *t = context_new(TLS_client_method());
	bool good;

	ERR_clear_error();
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	if (SSL_CTX_set_cipher_list(t->ctx, CLIENT_CIPHERS) != 1)
		abort();
	/* Not SSL_CTX_set_default_verify_paths(): it adds a third place, which reads the whole directory at every handshake. */
	good = ca_pem.n ? trust(t->ctx, ca_pem)
			: SSL_CTX_set_default_verify_file(t->ctx) == 1 && SSL_CTX_set_default_verify_dir(t->ctx) == 1;
	if (!good) {
		*why_out = tls_fault(a, "the CA certificates cannot be read");
		tls_context_unref(t);
		return NULL;
	}
	ERR_clear_error();
	*why_out = ok();
	return t;
}

/* A session under this context. */
SSL *tls_context_session(struct tls_context *t)
{
	return SSL_new(t->ctx);
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
	SSL_CTX_free(t->ctx);
	free(t);
}
