/* stream.h - the inside of a stream, for the files stream*.c alone.
 *
 * Bytes in:  socket → (TLS) → on_input; what is not taken waits in `unread`, and reading stops.
 * Bytes out: stream_write → (`tls->plain`) → `out` → socket; what the kernel does not take at once is moved to `sending`. */
#ifndef POSTHOUSE_NET_STREAM_H
#define POSTHOUSE_NET_STREAM_H

#include "deferred.h"
#include "client_hello.h"
#include "remote_key.h"
#include "tls_sessions.h"

#include "posthouse/list.h"
#include "posthouse/net.h"

#include <openssl/ssl.h>

#define STREAM_CHUNK         65536              /* read at once; written without waiting for the end of the round */
#define STREAM_UNSENT_MAX    ((size_t)64 << 20) /* the last resort: users limit stream_pending() to far less */
#define STREAM_HANDSHAKE_MAX ((size_t)1 << 20)  /* with more unsent bytes TLS answers the peer no more */
#define STREAM_FINISH_MS     5000
#define STREAM_FINISH_BYTES  ((size_t)1 << 20) /* input that is thrown away while finishing */

enum stream_state {
	STREAM_CONNECTING,
	STREAM_OPEN,
	STREAM_ENDED,     /* no more input comes, and the user knows; writing is still possible */
	STREAM_FINISHING, /* the rest of the output is written; input is thrown away */
	STREAM_CLOSING,
};

/* The TLS half of a stream. */
struct stream_tls {
	SSL *ssl;
	struct tls_context *context;
	struct str in;                 /* ciphertext being decrypted: a view of the shared buffer, or of `wire` */
	struct buf wire;               /* ciphertext that waits until the user takes more */
	struct buf plain;              /* written, not encrypted yet: one record for many writes */
	enum tls_demand demand;        /* of a client */
	X509 *refused;                 /* the server's certificate that was not accepted; NULL: none */
	struct resumption *resumption; /* of a client that keeps sessions; else NULL */
	struct signing *signing;       /* with a certificate whose key another process has; else NULL */
	struct verdict fault;          /* of a handshake that could not begin */
	bool done, failed, over;       /* the handshake */
	bool shut;                     /* our close_notify is in `out` */
	bool behind;                   /* bytes read in the clear are the beginning of the handshake */
	bool encrypting;               /* TLS now writes the user's bytes, not an answer to the peer */
	unsigned answers;              /* writes by TLS that the peer has caused since the handshake */
	bool flooded;                  /* the peer has caused too many answers */
	struct client_hello hello;     /* of a client, as far as it was received */
	bool hello_too_large;
};

/* What a client's session is kept by. */
struct resumption {
	char key[SESSION_KEY];
	uint64_t born_ms;         /* when the certificate was verified; a resumed session is as old as the one before … */
	uint64_t offered_born_ms; /* … that was offered */
	bool offered;
};

struct stream {
	uv_tcp_t tcp;
	uv_timer_t limit; /* of stream_finish() */
	uv_connect_t connecting;
	uv_write_t writing;
	uv_shutdown_t shutting;
	enum stream_state state;
	const struct stream_ops *ops;
	void *ctx;
	struct deferred *deferred;
	struct list due;        /* in its list */
	struct stream_tls *tls; /* NULL: in the clear */
	struct buf unread, out, sending;
	struct buf text;                /* of the verdict or reason last reported */
	int connect_error, write_error; /* negative uv codes to be reported; 0 = none */
	unsigned end_in; /* rounds of the loop until a write error ends the stream: the peer's last bytes are read first */
	unsigned parts;  /* handles that are not closed yet */
	bool paused;     /* the user took less than offered */
	bool resumed;    /* the user wants more now */
	bool owes_drain;
	size_t thrown_away; /* while finishing */
	bool has_limit, shutdown_begun, shutdown_done, peer_ended;
	unsigned port;
	char address[INET6_ADDRSTRLEN];
};

/* stream.c */
void stream_due(struct stream *st);
void stream_attend(struct stream *st);
void stream_set_text(struct stream *st, const char *format, ...) __attribute__((format(printf, 2, 3)));
void stream_end(struct stream *st, struct str why);

/* stream_read.c */
void stream_read_start(struct stream *st);
bool stream_offer(struct stream *st, struct str bytes); /* true: all taken, go on */
void stream_offer_again(struct stream *st);

/* stream_write.c */
void stream_wipe(struct buf *b); /* wipe it, since it can hold a password, and free its memory */
void stream_flush(struct stream *st);
void stream_write_failed(struct stream *st, int error);
void stream_finish_step(struct stream *st);

/* stream_tls.c */
/* Put TLS into the stream. Bytes read in the clear and not taken are discarded (RFC 3207 section 4.2); `behind`: they begin the
 * handshake. */
SSL *stream_tls_begin(struct stream *st, struct tls_context *context, bool behind);
void stream_tls_input(struct stream *st, struct str bytes);
void stream_tls_continue(struct stream *st);
void stream_tls_encrypt(struct stream *st);
void stream_tls_shutdown(struct stream *st);
void stream_tls_fail(struct stream *st, struct verdict v);
void stream_tls_free(struct stream *st);

#endif
