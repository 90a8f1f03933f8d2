/* remote_key.c - see remote_key.h. The part of a handshake that signs is an asynchronous job of OpenSSL, which has a stack of
 * its own (of 32 KB) and can be left in the middle. Nothing that the peer has sent is read on that stack: the job begins when the
 * server's messages have been read and ends with our answer to them.
 *
 * The provider has the public half of each key and delegates to OpenSSL's own provider everything but signing. */
#include "remote_key.h"

#include "posthouse/arena.h"
#include "posthouse/net.h"
#include "posthouse/secret.h"

#include <openssl/async.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdlib.h>

/* ---- the signature ---- */

/* Of the handshake that runs now. All streams of a process belong to one thread. */
static struct signing *running;

/* Leave the handshake until the signature is there. Its length, or 0. */
static size_t wait_for_signature(unsigned scheme, const unsigned char *text, size_t n, unsigned char *to, size_t size)
{
	struct signing *g = running;

	if (!g || g->over || !ASYNC_get_current_job() || n > TLS_SIGN_MAX)
		return 0;
	buf_clear(&g->text);
	buf_add(&g->text, str_make(text, n));
	g->scheme = scheme;
	g->n = 0;
	g->waits = true;
	if (ASYNC_pause_job() != 1 || g->n > size)
		return 0;
	memcpy(to, g->signature, g->n);
	return g->n;
}

struct signing *signing_new(void)
{
	struct signing *g = NEW(struct signing);

	buf_init(&g->text, TLS_SIGN_MAX);
	return g;
}

static int step(struct signing *g, SSL *ssl)
{
	int r;

	running = g;
	r = SSL_do_handshake(ssl);
	running = NULL;
	return r;
}

int signing_handshake(struct signing *g, SSL *ssl)
{
	int r = step(g, ssl);

	if (SSL_get_error(ssl, r) == SSL_ERROR_WANT_X509_LOOKUP)
		r = step(g, ssl); /* as a job, from here on */
	if (SSL_get_error(ssl, r) != SSL_ERROR_WANT_ASYNC)
		SSL_clear_mode(ssl, SSL_MODE_ASYNC);
	return r;
}

void signing_free(struct signing *g, SSL *ssl)
{
	if (!g)
		return;
	g->over = true;
	g->n = 0;
	if (g->waits)
		signing_handshake(g, ssl);
	g->waits = false;
	ERR_clear_error();
	buf_fini(&g->text);
	free(g);
}

/* The server has asked for our certificate, and has nothing more to say before our answer. */
static int on_certificate_wanted(SSL *ssl, void *ctx)
{
	if (SSL_get_mode(ssl) & SSL_MODE_ASYNC)
		return 1;
	SSL_set_mode(ssl, SSL_MODE_ASYNC);
	return -1;
}

void remote_key_use(SSL_CTX *ctx)
{
	SSL_CTX_set_cert_cb(ctx, on_certificate_wanted, NULL);
}

/* ---- the provider: keys ---- */

struct remote_key {
	const char *kind;
	EVP_PKEY *public;
};

static void *key_new(const char *kind)
{
	struct remote_key *k = NEW(struct remote_key);

	k->kind = kind;
	return k;
}

static void *rsa_new(void *ctx)
{
	return key_new("RSA");
}

static void *ec_new(void *ctx)
{
	return key_new("EC");
}

static void *ed25519_new(void *ctx)
{
	return key_new("ED25519");
}

static void key_free(void *key)
{
	struct remote_key *k = key;

	EVP_PKEY_free(k->public);
	free(k);
}

/* The public half as OpenSSL's provider has it. */
static int key_import(void *key, int selection, const OSSL_PARAM parameters[])
{
	struct remote_key *k = key;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, k->kind, NULL);
	int r = ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(ctx, &k->public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)parameters) == 1;

	EVP_PKEY_CTX_free(ctx);
	return r;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = { OSSL_PARAM_END };

	return types;
}

static int key_has(const void *key, int selection)
{
	return ((const struct remote_key *)key)->public != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
	return EVP_PKEY_eq(((const struct remote_key *)a)->public, ((const struct remote_key *)b)->public) == 1;
}

static int key_get_params(void *key, OSSL_PARAM parameters[])
{
	return EVP_PKEY_get_params(((struct remote_key *)key)->public, parameters);
}

static const OSSL_PARAM *key_gettable_params(void *ctx)
{
	static const OSSL_PARAM names[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_END,
	};

	return names;
}

static const char *ec_operation(int operation)
{
	return "ECDSA";
}

/* ---- the provider: signatures ---- */

struct remote_signature {
	const struct remote_key *key;
	size_t hash_bits;
	bool pss;
};

static void *signature_new(void *ctx, const char *properties)
{
	return NEW(struct remote_signature);
}

/* OSSL_PARAM has the padding of RSA as a number or as a word. */
static int signature_set_params(void *ctx, const OSSL_PARAM parameters[])
{
	struct remote_signature *s = ctx;
	const OSSL_PARAM *p = parameters ? OSSL_PARAM_locate_const(parameters, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
	const char *word = NULL;
	int number = 0;

	if (p && p->data_type == OSSL_PARAM_UTF8_STRING)
		s->pss = OSSL_PARAM_get_utf8_string_ptr(p, &word) == 1 && strcmp(word, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
	else if (p)
		s->pss = OSSL_PARAM_get_int(p, &number) == 1 && number == RSA_PKCS1_PSS_PADDING;
	return 1;
}

/* The length of the salt is always that of the hash (RFC 8446 4.2.3), so it is not looked at. */
static const OSSL_PARAM *signature_settable_params(void *ctx, void *provider)
{
	static const OSSL_PARAM names[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};

	return names;
}

static int signature_init(void *ctx, const char *hash, void *key, const OSSL_PARAM parameters[])
{
	struct remote_signature *s = ctx;
	EVP_MD *md = hash && *hash ? EVP_MD_fetch(NULL, hash, NULL) : NULL;

	s->key = key;
	s->hash_bits = md ? (size_t)EVP_MD_get_size(md) * 8 : 0;
	EVP_MD_free(md);
	return signature_set_params(ctx, parameters);
}

/* RFC 8446 4.2.3; 0: none. */
static unsigned scheme_of(const struct remote_signature *s)
{
	unsigned strength = s->hash_bits == 256 ? 1 : s->hash_bits == 384 ? 2 : s->hash_bits == 512 ? 3 : 0;

	if (strcmp(s->key->kind, "ED25519") == 0)
		return TLS_SCHEME_ED25519;
	if (strength == 0)
		return 0;
	if (strcmp(s->key->kind, "EC") == 0)
		return TLS_SCHEME_ECDSA_SHA256 + ((strength - 1) << 8);
	return s->pss ? TLS_SCHEME_PSS_SHA256 + strength - 1 : TLS_SCHEME_RSA_SHA256 + ((strength - 1) << 8);
}

/* Without `to`: the largest length. */
static int signature_make(void *ctx, unsigned char *to, size_t *n, size_t size, const unsigned char *text, size_t text_n)
{
	struct remote_signature *s = ctx;
	unsigned scheme = scheme_of(s);

	if (!to)
		*n = (size_t)EVP_PKEY_get_size(s->key->public);
	else
		*n = scheme ? wait_for_signature(scheme, text, text_n, to, size) : 0;
	return *n > 0;
}

/* ---- the provider: its tables ---- */

#define ROW(id, function)                                                                                                        \
	{                                                                                                                        \
		id, (void (*)(void))(function)                                                                                   \
	}
#define KEY_ROWS(new)                                                                                                            \
	ROW(OSSL_FUNC_KEYMGMT_NEW, new), ROW(OSSL_FUNC_KEYMGMT_FREE, key_free), ROW(OSSL_FUNC_KEYMGMT_HAS, key_has),             \
		ROW(OSSL_FUNC_KEYMGMT_MATCH, key_match), ROW(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                              \
		ROW(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types), ROW(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),        \
		ROW(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params)

static const OSSL_DISPATCH rsa_keys[] = { KEY_ROWS(rsa_new), { 0, NULL } };
static const OSSL_DISPATCH ec_keys[] = { KEY_ROWS(ec_new),
					 ROW(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation),
					 { 0, NULL } };
static const OSSL_DISPATCH ed25519_keys[] = { KEY_ROWS(ed25519_new), { 0, NULL } };
static const OSSL_DISPATCH signatures[] = {
	ROW(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
	ROW(OSSL_FUNC_SIGNATURE_FREECTX, free),
	ROW(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signature_init),
	ROW(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signature_make),
	ROW(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signature_set_params),
	ROW(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable_params),
	{ 0, NULL },
};
#define PROPERTIES "provider=posthouse"
static const OSSL_ALGORITHM key_kinds[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, rsa_keys, NULL },
	{ "EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, ec_keys, NULL },
	{ "ED25519:1.3.101.112", PROPERTIES, ed25519_keys, NULL },
	{ NULL, NULL, NULL, NULL },
};
static const OSSL_ALGORITHM signature_kinds[] = {
	{ "RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, signatures, NULL },
	{ "ECDSA", PROPERTIES, signatures, NULL },
	{ "ED25519:1.3.101.112", PROPERTIES, signatures, NULL },
	{ NULL, NULL, NULL, NULL },
};

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *no_cache)
{
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? key_kinds : operation == OSSL_OP_SIGNATURE ? signature_kinds : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **ctx)
{
	static const OSSL_DISPATCH functions[] = { ROW(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query), { 0, NULL } };

	*out = functions;
	*ctx = &running; /* anything that is not NULL */
	return 1;
}

/* Its own library context, in which nothing else is found: OpenSSL never takes these for another key. */
static OSSL_LIB_CTX *library(void)
{
	static OSSL_LIB_CTX *ctx;

	if (ctx)
		return ctx;
	ctx = OSSL_LIB_CTX_new();
	if (!ctx || OSSL_PROVIDER_add_builtin(ctx, "posthouse", provider_init) != 1 || !OSSL_PROVIDER_load(ctx, "posthouse"))
		abort();
	return ctx;
}

EVP_PKEY *remote_key_new(X509 *certificate)
{
	EVP_PKEY *public = X509_get0_pubkey(certificate), *key = NULL;
	const char *kind = public ? EVP_PKEY_get0_type_name(public) : NULL;
	EVP_PKEY_CTX *ctx = kind ? EVP_PKEY_CTX_new_from_name(library(), kind, NULL) : NULL;
	OSSL_PARAM *parameters = NULL;

	if (ctx && EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &parameters) == 1 && EVP_PKEY_fromdata_init(ctx) == 1)
		EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR, parameters);
	OSSL_PARAM_free(parameters);
	EVP_PKEY_CTX_free(ctx);
	return key;
}
