/* peer.h - a TLS client of OpenSSL alone over the fixture's clear stream: to ask for what our own client never would. */
#ifndef POSTHOUSE_TEST_NET_PEER_H
#define POSTHOUSE_TEST_NET_PEER_H

#include "fixture.h"

#include <openssl/ssl.h>

struct peer_wants {
	int version;         /* 0: any */
	const char *ciphers; /* up to TLS 1.2; NULL: OpenSSL's own */
	const char *signatures, *groups;
	const char *name;      /* SNI; NULL: none */
	const char *protocols; /* ALPN, each behind its length; NULL: none */
	SSL_SESSION *session;  /* to be resumed */
	bool may_renegotiate;
};
struct peer {
	struct fixture *f;
	SSL_CTX *ctx;
	SSL *ssl;
	BIO *in, *out;
	SSL_SESSION *session; /* the last ticket */
};

/* Connect and say hello, no more. */
void peer_begin(struct peer *p, struct fixture *f, struct tls_context *server, const struct peer_wants *wants);
/* Connect and do the handshake; false: there was none. The server greets with "hi", which has been read, so that tickets are there. */
bool peer_connect(struct peer *p, struct fixture *f, struct tls_context *server, const struct peer_wants *wants);
void peer_free(struct peer *p); /* also disconnects */

/* What OpenSSL has to say goes to the stream. */
void peer_send(struct peer *p);
/* Wait for something from the server, for OpenSSL to read; false: it has ended. */
bool peer_receive(struct peer *p);

/* The common name of the server's certificate. */
struct str peer_certificate(struct peer *p);

#endif
