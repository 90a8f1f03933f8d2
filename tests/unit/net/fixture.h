/* fixture.h - two ends of a connection over loopback on a real loop, and certificates made on the spot. */
#ifndef POSTHOUSE_TEST_NET_FIXTURE_H
#define POSTHOUSE_TEST_NET_FIXTURE_H

#include "loop.h"

#include "posthouse/arena.h"
#include "posthouse/net.h"

/* One end and what has happened to it. The hooks, if set, run at the end of the callback of that name. */
struct end {
	struct stream *st;
	struct buf got;
	size_t take_max; /* bytes taken per on_input, 0 = all */
	size_t received;
	bool discard; /* count, do not keep */
	unsigned inputs, connects, drains, handshakes, ends, closes;
	struct verdict connect, tls;
	struct str why;
	struct arena texts;
	void (*input_hook)(struct end *e);
	void (*drain_hook)(struct end *e);
	void (*connect_hook)(struct end *e);
	void (*tls_hook)(struct end *e);
	void (*end_hook)(struct end *e);
	void *extra;
};

struct fixture {
	uv_loop_t loop;
	struct arena arena;
	struct listener *listener;
	unsigned port;
	struct end client, server;
	unsigned accepted;
	void (*accept_hook)(struct fixture *f);
	struct stream *more[64]; /* accepted after the first */
};

extern const struct stream_ops end_ops;
/* Called for on_sign of all ends; NULL at first. */
extern void (*end_sign)(void *ctx, struct stream *st, const struct tls_to_sign *what);
void end_init(struct end *e);
void end_fini(struct end *e);

int fixture_setup(void **state);
int fixture_teardown(void **state); /* also proves that the loop can be closed: nothing is left open */

/* Connect the client; both ends are there afterwards. */
void fixture_connect(struct fixture *f);

/* Begin TLS as a client that wants this one name. */
void client_tls(struct end *client, struct tls_context *t, struct str name, bool verify);

/* Close both ends, and forget what has happened to them. */
void fixture_disconnect(struct fixture *f);

/* Run the loop until `reached`; false after `ms`. */
bool run_while(uv_loop_t *loop, bool (*reached)(const void *what, size_t value), const void *what, size_t value, unsigned ms);

/* Run the loop until *counter >= value, or so many bytes have been received; false after PATIENCE_MS. */
#define PATIENCE_MS 30000
bool run_until(uv_loop_t *loop, const unsigned *counter, unsigned value);
bool run_until_received(uv_loop_t *loop, const struct end *e, size_t bytes);
void run_for(uv_loop_t *loop, unsigned ms);

/* A certificate and its key, as PEM in the arena. */
struct certificate_recipe {
	const char *name;                     /* the common name */
	const char *also;                     /* "DNS:a.example,DNS:*.b.example"; NULL: none at all */
	int kind;                             /* EVP_PKEY_EC, NID_secp384r1, EVP_PKEY_RSA or EVP_PKEY_ED25519 */
	const char *hash;                     /* of its signature; NULL: SHA-256, or none for Ed25519 */
	long ends_s;                          /* from now, at least -3000; 0: after a day */
	const struct tls_certificate *issuer; /* an authority; NULL: self-signed */
	bool authority;
};
struct tls_certificate make_certificate_as(struct arena *a, const struct certificate_recipe *recipe);

/* The same for host `name` and for 127.0.0.1. */
void make_certificate(struct arena *a, const char *name, struct str *chain_pem_out, struct str *key_pem_out);

/* A server's context of one certificate. */
struct tls_context *server_context(struct fixture *f, struct str chain_pem, struct str key_pem, enum tls_version minimum,
				   struct verdict *why_out);

#endif
