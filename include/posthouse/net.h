/* net.h - sockets and TLS on the libuv loop: the only folder that knows SSL. OpenSSL never sees a socket: it reads from and
 * writes to our buffers, which an idle session does not hold (SSL_MODE_RELEASE_BUFFERS for its own).
 *
 * No function here calls back before it returns: every callback comes from the loop. A callback is allowed to call every
 * function, also to close. All streams of a process belong to one thread. Their user sets all time limits except that
 * of stream_finish(). */
#ifndef POSTHOUSE_NET_H
#define POSTHOUSE_NET_H

#include "posthouse/buf.h"
#include "posthouse/config.h"
#include "posthouse/tls_policy.h"
#include "posthouse/tls_result.h"
#include "posthouse/verdict.h"

#include <uv.h>

/* ---- tls.c ---- */
struct tls_context; /* reference counted: after a reload, streams keep the context that they began with */

struct tls_certificate {
	struct str chain_pem, key_pem;
};
struct tls_server_options {
	const struct tls_certificate
		*certificates; /* used is the first with the name that a client asks for (SNI), else the first */
	size_t n;
	enum tls_version minimum;
	bool legacy;              /* TLS 1.0 and ciphers that only old devices have, whatever `minimum` says */
	struct str ticket_secret; /* processes with the same secret resume each other's sessions; "": a secret of its own */
	uint64_t (*now_ms)(void); /* the clock by which the ticket key changes each day; NULL: clock_now_ms */
};
/* A server's context. PERM 0: *why names the part that is wrong ("certificate 2: ..."). When certificates for the same name have
 * keys of different kinds (RSA, ECDSA, Ed25519), each client gets one that it can use. A client whose ALPN list has no protocol
 * of mail submission is refused (RFC 7301 section 3.2): an attacker has redirected it here (ALPACA). */
struct tls_context *tls_server_context(const struct tls_server_options *options, struct arena *a, struct verdict *why_out);
/* Can a client get this certificate of the options? Not when an earlier one with the same kind of key has each of its names. */
bool tls_server_uses(const struct tls_context *t, size_t certificate);

/* When the first certificate of a chain ends, ms UTC; 0: it cannot be read. */
uint64_t tls_certificate_expires(struct str chain_pem);

/* The secret of session tickets: 32 bytes, and the day from which they are valid. It changes every day; an earlier secret cannot
 * be computed from a later one. */
#define TLS_TICKET_SECRET 40
bool tls_ticket_secret_new(char secret_out[TLS_TICKET_SECRET], uint64_t now_ms); /* false: no random numbers */
void tls_ticket_secret_age(char secret[TLS_TICKET_SECRET], uint64_t now_ms);     /* bring it to its day */

/* A client's context that verifies against ca_pem (empty: the system's CA certificates). */
struct tls_context *tls_client_context(struct str ca_pem, struct arena *a, struct verdict *why_out);
/* The certificate (RSA, ECDSA or Ed25519) that this client's context shows when the server asks for one. Its private key belongs
 * to another process: handshakes ask for signatures by on_sign, which the user must have then. False, and PERM 0 says why. */
bool tls_client_certificate(struct tls_context *t, struct str chain_pem, struct arena *a, struct verdict *why_out);

/* SignatureScheme (RFC 8446 4.2.3), which is hash and algorithm in TLS 1.2. Those with SHA-384 and SHA-512 follow:
 * 0x0501, 0x0601; 0x0503, 0x0603; 0x0805, 0x0806. */
enum tls_scheme {
	TLS_SCHEME_RSA_SHA256 = 0x0401,
	TLS_SCHEME_ECDSA_SHA256 = 0x0403,
	TLS_SCHEME_PSS_SHA256 = 0x0804,
	TLS_SCHEME_ED25519 = 0x0807,
};
#define TLS_KEY_ID   32                   /* SHA-256 of a public key (SubjectPublicKeyInfo) */
#define TLS_SIGN_MAX ((size_t)128 * 1024) /* with TLS 1.2 it is all messages of the handshake */
struct tls_to_sign {
	struct str key; /* TLS_KEY_ID bytes */
	unsigned scheme;
	struct str text; /* valid until the callback returns */
};
/* Sessions of this client's context are not resumed any more. */
void tls_client_forget_sessions(struct tls_context *t);
/* A client's context that takes TLS 1.0 and all ciphers, and verifies nothing. It is only for next hops that would get clear text
 * otherwise. */
struct tls_context *tls_old_client_context(void);
struct tls_context *tls_context_ref(struct tls_context *t);
void tls_context_unref(struct tls_context *t); /* NULL is allowed */

/* ---- stream.c: one TCP connection, clear at first, perhaps TLS later ---- */
struct stream;

struct stream_ops {
	/* Bytes from the peer (decrypted), valid until the callback returns. It returns how many it took; after fewer than all,
	 * reading stops (back-pressure) until stream_resume(), which offers the rest again. */
	size_t (*on_input)(void *ctx, struct stream *st, struct str bytes);
	/* The kernel has taken all that was written by one or several stream_write(). Can be NULL. */
	void (*on_drain)(void *ctx, struct stream *st);
	/* The handshake is done: v OK, or not (the certificate is not as demanded: PERM 5.7.5; any other failure: TEMP 4.7.5;
	 * then only on_closed follows: close the stream). v.text lives as long as the stream reports nothing else. */
	void (*on_tls)(void *ctx, struct stream *st, struct verdict v);
	/* Outgoing: connected, or why not. */
	void (*on_connect)(void *ctx, struct stream *st, struct verdict v);
	/* The peer ended its direction, or the connection broke: why is "" for an orderly end (a missing close_notify is
	 * orderly: SMTP itself marks the end of a message). Once, after the last bytes; close the stream then. After an orderly
	 * end writing still works. */
	void (*on_end)(void *ctx, struct stream *st, struct str why);
	/* After stream_close(): the last callback; the memory is freed when it returns. */
	void (*on_closed)(void *ctx, struct stream *st);
	/* A client's handshake needs the signature of its own certificate's key, and waits for stream_signed(). */
	void (*on_sign)(void *ctx, struct stream *st, const struct tls_to_sign *what);
};

/* A stream on a connected socket, which it takes. NULL: the client has gone already, or the socket cannot be used; logged. */
struct stream *stream_accept(uv_loop_t *loop, int fd, const struct stream_ops *ops, void *ctx);
/* Never NULL: on_connect reports immediate failures too (TEMP 421 4.4.1; then close the stream). `source`: an address of this
 * machine, of the same family, with port 0; NULL: the system chooses. */
struct stream *stream_connect_from(uv_loop_t *loop, const struct sockaddr *source, const struct sockaddr *address,
				   const struct stream_ops *ops, void *ctx);

/* Begin TLS now. Bytes that were read in clear text and not taken are discarded (RFC 3207 section 4.2). */
void stream_start_server_tls(struct stream *st, struct tls_context *t);

/* What a client demands of the server's certificate. */
enum tls_demand {
	TLS_DEMAND_NOTHING, /* it is encryption only */
	TLS_DEMAND_NAMES,   /* an authority that the context trusts has certified one of the names */
	TLS_DEMAND_TLSA,    /* one of the TLSA records names it, or its issuer, which has then certified one of the names (RFC
				  * 7672 3); authorities of the context do not count */
	TLS_DEMAND_FINGERPRINTS, /* it, or its key, has one of the fingerprints; nothing else counts */
};
struct tls_client_options {
	/* Host names, or a single literal address. A pattern ("*.example.org", ".example.org") fails as PERM 5.7.5: an "mx"
	 * pattern of MTA-STS decides which MX hosts are valid (RFC 8461 section 4.1), and their certificates must have the name
	 * of the host itself (section 4.2). */
	struct str_list names;
	struct str sni; /* is sent to the server unless it is an address (RFC 6066 section 3); "": the first of the names */
	enum tls_demand demand;
	bool judge; /* with TLS_DEMAND_NOTHING: what TLS_DEMAND_NAMES would say of the certificate is in stream_tls_info.judged */
	const struct tlsa *tlsa; /* those that tls_takes_tlsa() refuses count for nothing; when there is no other: PERM 5.7.5 */
	size_t tlsa_n;
	struct str_list fingerprints; /* SHA-256, TLS_FINGERPRINT bytes each */
	/* Which server this is, "mail.example.org:25": a later connection with the same context and the same options can resume
	 * its session, for an hour after the certificate was verified. "": no session is kept or resumed. */
	struct str resume_as;
};
/* The options are copied. */
void stream_start_client_tls(struct stream *st, struct tls_context *t, const struct tls_client_options *o);
/* Can a certificate be verified by this record? Usage DANE-TA or DANE-EE, and data that can be what the record says it is; others
 * are "unusable" (RFC 7672 2.2, 3.1.3; RFC 6698 4.1). */
bool tls_takes_tlsa(const struct tlsa *t);

/* The answer to on_sign; "": there is no signature, so the handshake fails. */
void stream_signed(struct stream *st, struct str signature);

/* As stream_start_server_tls(), but what was read and not taken is the beginning of the handshake: TLS from the first byte on,
 * behind a PROXY header. */
void stream_start_server_tls_behind(struct stream *st, struct tls_context *t);

/* Queue bytes (copied, encrypted when TLS is on); they go out together in this round of the loop. Bytes that are
 * written during a handshake wait for its end. stream_pending(): the bytes that the kernel has not taken; the user must limit
 * them (at 64 MiB the stream breaks). */
void stream_write(struct stream *st, struct str bytes);
size_t stream_pending(const struct stream *st);
/* Bytes that the kernel has taken and not sent so far, because the peer takes no more or the network is slow. */
size_t stream_unsent(const struct stream *st);
/* The connection breaks when the peer's kernel has not confirmed for `ms` that it has what was sent; 0: after many minutes, as
 * the system does it. */
void stream_limit_silence(struct stream *st, uint64_t ms);
void stream_resume(struct stream *st);

/* finish: close when the kernel has sent everything and the peer has ended too, at the latest after 5 s. close: at once. After
 * either only on_closed is called. A second call does no harm. */
void stream_finish(struct stream *st);
void stream_close(struct stream *st);

struct stream_tls_info {
	bool on;
	const char *version, *cipher; /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
	unsigned bits;
	enum tls_result result; /* a client's: how the handshake went; NONE: there was none */
	enum tls_result judged; /* of a client that does not demand it: see tls_client_options.judge */
	bool resumed;           /* it was that of an earlier session */
	bool offered;           /* a client's: an earlier session was offered, so a failure can be that of resumption */
};
void stream_tls_info(const struct stream *st, struct stream_tls_info *info_out);

/* SHA-256 of the certificate that the server has shown, and of its public key (SubjectPublicKeyInfo), also of one that was not
 * accepted. False: none was seen, as in a resumed session that does not know it. */
#define TLS_FINGERPRINT 32
struct tls_fingerprints {
	char certificate[TLS_FINGERPRINT], key[TLS_FINGERPRINT];
};
bool stream_tls_fingerprints(const struct stream *st, struct tls_fingerprints *fingerprints_out);

/* No passwords are sent or received from now on. Until then OpenSSL wipes what it has decrypted, which costs 1 to 2 us for each
 * read. Our own copies are always wiped. */
void stream_secrets_over(struct stream *st);

/* The channel binding data of this TLS connection (at most 64 bytes): RFC 9266, TLS 1.3 only; RFC 5929 section 4. False: there is
 * none, for example the end point of a resumed session for a name with several certificates. */
enum tls_binding { BINDING_EXPORTER, BINDING_SERVER_END_POINT };
bool stream_tls_binding(struct stream *st, enum tls_binding kind, char bytes_out[64], size_t *n_out);

/* Set the peer's address, as a PROXY header gives it. */
void stream_set_peer(struct stream *st, const struct sockaddr *address);

/* The peer's address as "192.0.2.1" or "2001:db8::1", or "local" for a peer on a Unix socket; valid as long as the stream. */
struct str stream_peer_address(const struct stream *st);

/* The descriptor of the connection, which stays the stream's: for another process that is to ask the kernel about it. */
int stream_descriptor(const struct stream *st);

/* ---- listener.c ---- */
/* Bind and listen; *fds_out gets one descriptor per address family that `address` ("*", an IPv4 or IPv6 address) has, with
 * SO_REUSEPORT (one call per submission process) or without. PERM with the reason in `a` and, as code, an errno or 0. */
struct verdict listener_open(struct str address, unsigned port, bool reuseport, struct arena *a, int fds_out[2], size_t *n_out);

/* Serve an inherited listening descriptor: on_connection for each client, which takes the client's descriptor. When descriptors
 * run out, accepting pauses (clients wait in the kernel's queue). Takes `fd`. NULL: the socket cannot be polled; logged. */
struct listener;
struct listener *listener_serve(uv_loop_t *loop, int fd, void (*on_connection)(void *ctx, int fd), void *ctx);
void listener_close(struct listener *l); /* stops at once; memory goes later by itself */

/* ---- proxy.c: the PROXY protocol, versions 1 and 2, without I/O ---- */
enum proxy_result {
	PROXY_MORE,    /* the header is not complete */
	PROXY_BAD,     /* not a PROXY header */
	PROXY_LOCAL,   /* the connection is the proxy's own (LOCAL, UNKNOWN): its address stays */
	PROXY_ADDRESS, /* the client's address is in client_out */
};
/* A header at the front of `bytes`, at most PROXY_HEADER_MAX of them; *n_out: its length. */
#define PROXY_HEADER_MAX 4096
enum proxy_result proxy_parse(struct str bytes, size_t *n_out, struct sockaddr_storage *client_out);

/* ---- resolve.c: all addresses of a host, through the system's resolver on the thread pool ---- */
struct resolve;
typedef void (*resolve_fn)(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n);
/* `host` can be a literal address. TEMP 4.4.3: no answer now; PERM 5.4.4: no such host. One callback, none after cancel. */
struct resolve *resolve_host(uv_loop_t *loop, struct str host, unsigned port, bool ipv4, bool ipv6, resolve_fn done, void *ctx);
void resolve_cancel(struct resolve *r);

/* ---- own_address.c ---- */
/* Is it an address of this machine, as a listener could have it? Also 0.0.0.0 and those of networks that are routed here. */
bool address_is_own(struct str address);

/* The addresses that the kernel chooses for a global destination, IPv4 first, at most one of each; behind NAT they are private.
 * Nothing is sent. In `a`. */
struct str_list kernel_addresses(struct arena *a);

/* Raise RLIMIT_NOFILE to its hard limit; returns it. */
uint64_t raise_descriptor_limit(void);

#endif
