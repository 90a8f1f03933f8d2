/* tls_sessions.h - sessions with next hops, to be resumed: a handshake without certificates and signatures. */
#ifndef POSTHOUSE_NET_TLS_SESSIONS_H
#define POSTHOUSE_NET_TLS_SESSIONS_H

#include "posthouse/net.h"

#include <openssl/ssl.h>

#define SESSION_KEY 32 /* SHA-256 of the server and of all that was demanded of it */

/* Of one client's context: certificates were verified by its authorities. Bounded; of a full table the oldest ones go. */
struct tls_sessions;

struct tls_sessions *tls_sessions_new(void);
void tls_sessions_free(struct tls_sessions *t); /* NULL is allowed */
void tls_sessions_clear(struct tls_sessions *t);

/* What a session with o->resume_as is found by: everything in the options, so that it is never resumed where more is demanded,
 * or something else, than what its certificate was verified for. */
void tls_sessions_key(const struct tls_client_options *o, char key_out[SESSION_KEY]);

/* Keep a session whose certificate was verified at `born_ms` (clock_mono_ms()): for an hour from then on, or as long as the
 * server says. What cannot be resumed safely is left out. */
void tls_sessions_put(struct tls_sessions *t, const char key[SESSION_KEY], SSL *ssl, SSL_SESSION *session, uint64_t born_ms);
/* Have the new connection offer a session; one of TLS 1.3 is used only once (RFC 8446 C.4). False: there is none. */
bool tls_sessions_offer(struct tls_sessions *t, const char key[SESSION_KEY], SSL *ssl, uint64_t *born_ms_out);
/* The server does not get on with them. */
void tls_sessions_forget(struct tls_sessions *t, const char key[SESSION_KEY]);

#endif
