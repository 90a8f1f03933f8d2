/* stream_tls_client.c - TLS on a stream as a client: what is demanded of the server, and sessions that are kept and resumed. */
#include "stream.h"
#include "tls.h"

#include "posthouse/arena.h"
#include "posthouse/clock.h"

#include <openssl/bio.h>
#include <openssl/err.h>

/* A step of the verification: keep what was not accepted, for stream_tls_fingerprints(). */
static int on_verified(int good, X509_STORE_CTX *ctx)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct stream_tls *tls = ((struct stream *)BIO_get_data(SSL_get_rbio(ssl)))->tls;
	X509 *shown = X509_STORE_CTX_get0_cert(ctx);

	if (!good && shown && !tls->refused && X509_up_ref(shown))
		tls->refused = shown;
	return good;
}

/* ---- sessions that can be resumed ---- */

/* The server gives one of TLS 1.3, behind the handshake. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct stream_tls *tls = ((struct stream *)BIO_get_data(SSL_get_rbio(ssl)))->tls;
	struct resumption *r = tls->resumption;

	if (r && tls->done)
		tls_sessions_put(tls->context->sessions, r->key, ssl, session, r->born_ms);
	return 0; /* it stays OpenSSL's */
}

static void offer_session(struct stream_tls *tls, const struct tls_client_options *o)
{
	struct tls_sessions *sessions = tls->context->sessions;
	struct resumption *r;

	if (!sessions || o->resume_as.n == 0)
		return;
	r = tls->resumption = NEW(struct resumption);
	r->born_ms = clock_mono_ms();
	SSL_CTX_sess_set_new_cb(SSL_get_SSL_CTX(tls->ssl), on_session);
	tls_sessions_key(o, r->key);
	r->offered = tls_sessions_offer(sessions, r->key, tls->ssl, &r->offered_born_ms);
}

void stream_start_client_tls(struct stream *st, struct tls_context *t, const struct tls_client_options *o)
{
	const char *fault;
	SSL *ssl;

	if (st->state > STREAM_OPEN || st->tls)
		return;
	ssl = stream_tls_begin(st, t, false);
	SSL_set_connect_state(ssl);
	ERR_clear_error();
	st->tls->demand = o->demand;
	fault = tls_demand(ssl, o, on_verified);
	offer_session(st->tls, o);
	if (fault)
		st->tls->fault = perm(550, S("5.7.5"), str_of(fault));
	else if (SSL_do_handshake(ssl) == 1 || SSL_get_error(ssl, -1) != SSL_ERROR_WANT_READ)
		st->tls->fault = temp(421, S("4.7.5"), S("TLS handshake could not be begun"));
	ERR_clear_error();
	stream_due(st);
}
