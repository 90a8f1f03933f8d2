/* tls.h - the inside of a TLS context, for the files tls*.c and the binding of a login to a stream. */
#ifndef POSTHOUSE_NET_TLS_H
#define POSTHOUSE_NET_TLS_H

#include "posthouse/arena.h"
#include "posthouse/net.h"

#include <openssl/ssl.h>

/* Certificates with a name in common, each with another kind of key: a client gets the one that it can use. */
struct tls_set {
	SSL_CTX *ctx;
	const struct tls_context *context;
	size_t *members; /* which certificates, rising */
	size_t n;
};

/* The set of a name: lower case, an A-label or "*." and an A-label. */
struct tls_name {
	struct str name;
	const struct tls_set *set;
};

/* A client's context is one set without names. A server's first set is for clients that name no host, or an unknown one. */
struct tls_context {
	struct tls_set *sets;
	size_t n;
	struct tls_name *names;
	size_t names_n;
	bool *is_used; /* which certificates a client can get */
	struct ticket_keys *tickets;
	struct tls_sessions *sessions; /* a client's, to be resumed; NULL: none are kept */
	bool remote_key;               /* a client's: it shows a certificate whose key another process has */
	char key_id[TLS_KEY_ID];
	unsigned references;
	struct arena arena; /* of everything except the sets and the keys */
};

/* ---- tls_ticket.c ---- */
struct ticket_key {
	char name[16], mac[32], cipher[32];
};
struct ticket_keys {
	char secret[TLS_TICKET_SECRET];
	struct ticket_key today, yesterday;
	bool legacy; /* weaker rules have a key of their own, so that such a session is not resumed under others */
	uint64_t (*now_ms)(void);
};
struct ticket_keys *ticket_keys_new(const struct tls_server_options *options);
void ticket_keys_free(struct ticket_keys *k);
int on_ticket_key(SSL *ssl, unsigned char name[16], unsigned char iv[EVP_MAX_IV_LENGTH], EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
		  int encrypt);

/* ---- tls_sets.c ---- */
struct certificate;
void sets_choose(struct tls_context *t, const struct certificate *certificates, size_t n);
const struct tls_set *set_for(const struct tls_context *t, struct str host); /* NULL: no certificate has this name */

/* ---- tls.c ---- */
struct tls_context *tls_context_new(size_t sets);
SSL_CTX *tls_ctx_new(const SSL_METHOD *method);
struct verdict tls_fault(struct arena *a, const char *what);
BIO *tls_text_bio(struct str text);
int tls_no_passphrase(char *to, int size, int writing, void *ctx);

/* ---- tls_demand.c ---- */
/* Before the handshake of a client. NULL, or what is wrong with the demand. on_verified hears each step of the verification. */
const char *tls_demand(SSL *ssl, const struct tls_client_options *o, SSL_verify_cb on_verified);
/* Why the certificate is not accepted, from OpenSSL's result of the verification: as one of the words, and as a text. */
enum tls_result tls_demand_result(long verified, enum tls_demand demand);
const char *tls_demand_reason(long verified, enum tls_demand demand);
bool tls_fingerprints_of(X509 *x, struct tls_fingerprints *fingerprints_out);

/* ---- tls_certificate.c ---- */
struct certificate {
	X509 *leaf;
	STACK_OF(X509) * chain; /* the certificates after it in the file */
	EVP_PKEY *key;
	struct str_list names; /* in the arena given; lower case, sorted */
};
/* NULL, or the fault. certificate_fini() must follow in both cases. */
const char *certificate_read(struct certificate *c, struct str chain_pem, struct str key_pem, struct arena *a);
const char *certificate_read_chain(struct certificate *c, struct str chain_pem); /* the same, without key and names */
void certificate_fini(struct certificate *c);
/* Is the certificate valid for this host, or for this "*." name? RFC 6125 section 6.4.3. */
bool names_match(const struct str_list *names, struct str host);

#endif
