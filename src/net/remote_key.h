/* remote_key.h - private keys that another process has. OpenSSL sees a key whose signatures are made by a provider of ours: the
 * handshake stops where a signature is needed, and goes on when it is there. */
#ifndef POSTHOUSE_NET_REMOTE_KEY_H
#define POSTHOUSE_NET_REMOTE_KEY_H

#include "posthouse/buf.h"

#include <openssl/ssl.h>

#define SIGNATURE_MAX 1024 /* of RSA with 8192 bits */

/* The signature that a handshake needs. */
struct signing {
	bool waits;      /* the handshake has stopped for it */
	bool over;       /* no signature comes any more: what is asked for fails at once */
	unsigned scheme; /* RFC 8446 4.2.3 */
	struct buf text;
	char signature[SIGNATURE_MAX];
	size_t n; /* 0: it could not be made */
};

/* The key of this certificate; NULL: its kind is not supported. */
EVP_PKEY *remote_key_new(X509 *certificate);
/* Have the handshakes of this context stop for signatures. */
void remote_key_use(SSL_CTX *ctx);

struct signing *signing_new(void);
/* SSL_do_handshake(). With SSL_ERROR_WANT_ASYNC, g->waits says that scheme and text are to be signed; with the signature in `g`
 * and `waits` false, call it again. */
int signing_handshake(struct signing *g, SSL *ssl);
/* End a handshake that has stopped: its memory is free again. `g` is freed; NULL is allowed. */
void signing_free(struct signing *g, SSL *ssl);

#endif
