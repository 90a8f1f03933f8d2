/* tls.h - the inside of a TLS context, for the files tls*.c and the binding of a login to a stream. */
#ifndef POSTHOUSE_NET_TLS_H
#define POSTHOUSE_NET_TLS_H

#include "posthouse/arena.h"
#include "posthouse/net.h"

#include <openssl/ssl.h>

/* Certificates for the same names, each with a key of another kind: a client gets the one it can use. */
struct tls_set {
	SSL_CTX *ctx;
	struct str_list names; /* lower case, sorted; each an A-label or "*." and an A-label */
	unsigned keys;
};

/* A client's context is one set without names. */
struct tls_context {
	struct tls_set *sets;
	size_t n;
	unsigned references;
	struct arena arena; /* of the names */
};

/* tls.c */
struct tls_context *tls_context_new(size_t sets);
SSL_CTX *tls_ctx_new(const SSL_METHOD *method);
struct verdict tls_fault(struct arena *a, const char *what);
BIO *tls_text_bio(struct str text);
int tls_no_passphrase(char *to, int size, int writing, void *ctx);

/* tls_certificate.c */
struct certificate {
	X509 *leaf;
	STACK_OF(X509) * chain; /* what follows it in the file */
	EVP_PKEY *key;
	struct str_list names; /* in the arena given; lower case, sorted */
};
/* NULL, or what is wrong with it. To be ended in either case. */
const char *certificate_read(struct certificate *c, struct str chain_pem, struct str key_pem, struct arena *a);
void certificate_fini(struct certificate *c);
bool same_names(const struct str_list *a, const struct str_list *b);
bool names_match(const struct str_list *names, struct str host);

#endif
