/* stream_tls.c - TLS between a stream's socket and its user. OpenSSL reads and writes through a BIO of this file, straight from
 * the shared read buffer and into the stream's output, so an idle session holds no buffer but OpenSSL's own state. */
#include "stream.h"
#include "tls.h"

#include "posthouse/secret.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>

#define TLS_RECORD      16384
#define MANY_HANDSHAKES 32
#define ANSWERS_MAX     64 /* refused renegotiations, key updates, alerts: an honest peer causes none */

/* Decrypted bytes for on_input; shared by all streams like the buffer of stream_read.c, and wiped after each use. */
static char plain[STREAM_CHUNK];

/* ---- the BIO ---- */

/* Is OpenSSL allowed to read these bytes? Not those of a client's hello that is too large. */
static bool may_read(struct stream_tls *tls, struct str bytes)
{
	if (!tls->done && SSL_is_server(tls->ssl) &&
	    !client_hello_feed(&tls->hello, bytes, SSL_version(tls->ssl) == TLS1_3_VERSION))
		tls->hello_too_large = true;
	return !tls->hello_too_large;
}

/* OpenSSL wants ciphertext from the peer. */
static int bio_read(BIO *bio, char *to, int size)
{
	struct stream_tls *tls = ((struct stream *)BIO_get_data(bio))->tls;
	struct str part = str_head(tls->in, size > 0 ? (size_t)size : 0);

	BIO_clear_retry_flags(bio);
	if (part.n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (!may_read(tls, part))
		return -1;
	memcpy(to, part.p, part.n);
	tls->in = str_from(tls->in, part.n);
	return (int)part.n;
}

/* Is OpenSSL allowed to write more by itself? Answers to the peer are bounded, since a peer can cause them without reading. */
static bool may_answer(struct stream *st)
{
	struct stream_tls *tls = st->tls;

	if (tls->done && ++tls->answers > ANSWERS_MAX)
		tls->flooded = true;
	return !tls->flooded && st->out.n + st->sending.n <= STREAM_HANDSHAKE_MAX;
}

/* OpenSSL has ciphertext for the peer. */
static int bio_write(BIO *bio, const char *from, int size)
{
	struct stream *st = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (size <= 0 || (!st->tls->encrypting && !may_answer(st)))
		return -1;
	return buf_add(&st->out, str_make(from, (size_t)size)) ? size : -1;
}

/* The only command is a flush, which has nothing to do: the BIO writes straight into `out`. */
static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

/* The method that all our BIOs share. */
static BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *method;

	if (method)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
	if (!method)
		abort();
	BIO_meth_set_read(method, bio_read);
	BIO_meth_set_write(method, bio_write);
	BIO_meth_set_ctrl(method, bio_ctrl);
	return method;
}

/* ---- memory ---- */

static size_t handshakes, most_handshakes; /* now; the most at one time since the last trim */

/* A handshake needs 30 KB more than a session. After many handshakes at once the freed memory lies between that of their
 * sessions: without tidying, a thousand idle sessions cost twice as much. */
static void handshake_over(struct stream *st)
{
	if (st->tls->over)
		return;
	st->tls->over = true;
	if (--handshakes > 0 || most_handshakes < MANY_HANDSHAKES)
		return;
	most_handshakes = 0;
	deferred_tidy(st->deferred);
}

/* ---- beginning ---- */

SSL *stream_tls_begin(struct stream *st, struct tls_context *context, bool behind)
{
	struct stream_tls *tls = NEW(struct stream_tls);
	BIO *bio = BIO_new(bio_method());

	tls->ssl = SSL_new(context->sets[0].ctx);
	if (!bio || !tls->ssl)
		abort(); /* no memory: as every other allocation */
	tls->context = tls_context_ref(context);
	tls->signing = context->remote_key ? signing_new() : NULL;
	tls->in = S("");
	buf_init(&tls->wire, STREAM_CHUNK);
	buf_init(&tls->plain, STREAM_UNSENT_MAX);
	BIO_set_data(bio, st);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	st->tls = tls;
	if (++handshakes > most_handshakes)
		most_handshakes = handshakes;
	if (behind) {
		tls->behind = true; /* in on_input: stream_offer() knows what was not taken */
		buf_add(&tls->wire, buf_view(&st->unread));
		st->resumed = st->paused;
		stream_due(st);
	}
	stream_wipe(&st->unread);
	if (behind)
		return tls->ssl;
	st->resumed = false;
	if (st->paused && st->state == STREAM_OPEN)
		stream_read_start(st);
	st->paused = false;
	return tls->ssl;
}

void stream_start_server_tls(struct stream *st, struct tls_context *t)
{
	if (st->state > STREAM_OPEN || st->tls)
		return;
	SSL_set_accept_state(stream_tls_begin(st, t, false));
}

void stream_start_server_tls_behind(struct stream *st, struct tls_context *t)
{
	if (st->state > STREAM_OPEN || st->tls)
		return;
	SSL_set_accept_state(stream_tls_begin(st, t, true));
}

/* ---- handshake ---- */

/* OpenSSL's reason for the failure. */
static const char *tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return reason ? reason : "protocol error";
}

/* The handshake has failed. The alert for the peer is sent before the user closes. */
void stream_tls_fail(struct stream *st, struct verdict v)
{
	st->tls->failed = true;
	if (st->tls->resumption && st->tls->resumption->offered) /* it can have failed because of that */
		tls_sessions_forget(st->tls->context->sessions, st->tls->resumption->key);
	uv_read_stop((uv_stream_t *)&st->tcp);
	stream_flush(st);
	st->state = STREAM_ENDED;
	if (st->ops->on_tls)
		st->ops->on_tls(st->ctx, st, v);
}

/* The handshake needs a signature. Until it is there nothing is read. */
static void ask_signature(struct stream *st)
{
	struct signing *g = st->tls->signing;
	struct tls_to_sign what = { .key = str_make(st->tls->context->key_id, sizeof st->tls->context->key_id),
				    .scheme = g->scheme,
				    .text = buf_view(&g->text) };

	st->paused = true;
	uv_read_stop((uv_stream_t *)&st->tcp);
	st->ops->on_sign(st->ctx, st, &what);
}

void stream_signed(struct stream *st, struct str signature)
{
	struct signing *g = st->tls ? st->tls->signing : NULL;

	if (!g || !g->waits || signature.n > sizeof g->signature)
		return;
	memcpy(g->signature, signature.p, signature.n);
	g->n = signature.n;
	g->waits = false;
	stream_resume(st);
}

/* A session of TLS 1.2; those of TLS 1.3 come later (stream_tls_client.c). */
static void keep_session(struct stream_tls *tls)
{
	struct resumption *r = tls->resumption;

	if (r && SSL_session_reused(tls->ssl))
		r->born_ms = r->offered_born_ms;
	if (r && SSL_version(tls->ssl) < TLS1_3_VERSION)
		tls_sessions_put(tls->context->sessions, r->key, tls->ssl, SSL_get_session(tls->ssl), r->born_ms);
}

/* Continue the handshake; true when it is done and the stream is still open. */
static bool handshake(struct stream *st)
{
	SSL *ssl = st->tls->ssl;
	long verified;
	int r;

	ERR_clear_error();
	r = st->tls->signing ? signing_handshake(st->tls->signing, ssl) : SSL_do_handshake(ssl);
	if (r == 1) {
		st->tls->done = true;
		keep_session(st->tls);
		handshake_over(st);
		stream_due(st); /* bytes written during the handshake can be encrypted now */
		if (st->ops->on_tls)
			st->ops->on_tls(st->ctx, st, ok());
		return st->state == STREAM_OPEN;
	}
	if (SSL_get_error(ssl, r) == SSL_ERROR_WANT_READ)
		return false;
	if (SSL_get_error(ssl, r) == SSL_ERROR_WANT_ASYNC) {
		ask_signature(st);
		return false;
	}
	verified = SSL_get_verify_result(ssl);
	if (!SSL_is_server(ssl) && verified != X509_V_OK && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER)) {
		stream_set_text(st, "certificate not accepted: %s", tls_demand_reason(verified, st->tls->demand));
		stream_tls_fail(st, perm(550, S("5.7.5"), buf_view(&st->text)));
		return false;
	}
	stream_set_text(st, "TLS handshake: %s", st->tls->hello_too_large ? "the client's hello is too large" : tls_reason());
	stream_tls_fail(st, temp(421, S("4.7.5"), buf_view(&st->text)));
	return false;
}

/* ---- bytes in ---- */

/* Decrypt at most a chunk; *error_out is SSL_ERROR_NONE when there can be more. */
static size_t decrypt(SSL *ssl, int *error_out)
{
	size_t have = 0, n;

	while (have < sizeof(plain)) {
		ERR_clear_error();
		if (SSL_read_ex(ssl, plain + have, sizeof(plain) - have, &n) != 1) {
			*error_out = SSL_get_error(ssl, 0);
			return have;
		}
		have += n;
	}
	*error_out = SSL_ERROR_NONE;
	return have;
}

/* Decrypt tls->in as long as the user takes the result. */
static void decrypt_on(struct stream *st)
{
	struct stream_tls *tls = st->tls;
	size_t n;
	int error;
	bool all;

	while (st->state == STREAM_OPEN && !st->paused) {
		n = decrypt(tls->ssl, &error);
		all = n == 0 || stream_offer(st, str_make(plain, n));
		wipe(plain, n);
		if (!all)
			return;
		if (tls->flooded) {
			stream_end(st, S("TLS: too many renegotiations or key updates"));
			return;
		}
		if (error == SSL_ERROR_WANT_READ)
			return;
		if (error == SSL_ERROR_NONE)
			continue;
		stream_set_text(st, "TLS: %s", tls_reason());
		stream_flush(st); /* our alert */
		stream_end(st, error == SSL_ERROR_ZERO_RETURN ? S("") : buf_view(&st->text));
	}
}

/* With tls->in: first the handshake, then what the user gets. */
static void read_on(struct stream *st)
{
	struct stream_tls *tls = st->tls;

	if (tls->signing && tls->signing->waits)
		st->paused = true; /* again, where the user wanted to read more */
	else if (!tls->failed && (tls->done || handshake(st)))
		decrypt_on(st);
}

void stream_tls_input(struct stream *st, struct str bytes)
{
	struct stream_tls *tls = st->tls;

	tls->in = bytes;
	read_on(st);
	if (st->state == STREAM_OPEN && tls->in.n > 0)
		buf_add(&tls->wire, tls->in); /* fits: nothing is read while there is something in it */
	tls->in = S("");
	if (st->out.n > 0)
		stream_due(st);
}

/* The user takes more: decrypt the ciphertext that waited, then read what OpenSSL still holds. */
void stream_tls_continue(struct stream *st)
{
	struct stream_tls *tls = st->tls;

	tls->in = buf_view(&tls->wire);
	read_on(st);
	buf_consume(&tls->wire, tls->wire.n - tls->in.n);
	tls->in = S("");
	if (tls->wire.n == 0)
		buf_release(&tls->wire);
	if (st->out.n > 0)
		stream_due(st);
}

/* ---- bytes out ---- */

/* Encrypt written bytes until `out` has a chunk, in the largest records that TLS allows. */
void stream_tls_encrypt(struct stream *st)
{
	struct stream_tls *tls = st->tls;
	struct str record;
	size_t n;
	int r;

	if (!tls->done || tls->shut)
		return;
	while (tls->plain.n > 0 && st->out.n < STREAM_CHUNK) {
		record = str_head(buf_view(&tls->plain), TLS_RECORD);
		ERR_clear_error();
		tls->encrypting = true;
		r = SSL_write_ex(tls->ssl, record.p, record.n, &n);
		tls->encrypting = false;
		if (r != 1) {
			stream_write_failed(st, UV_EPROTO);
			return;
		}
		wipe(tls->plain.p + tls->plain.from, n);
		buf_consume(&tls->plain, n);
	}
	if (tls->plain.n == 0)
		stream_wipe(&tls->plain);
}

/* Send close_notify, once, and only after a complete handshake. */
void stream_tls_shutdown(struct stream *st)
{
	if (st->tls->shut || !st->tls->done)
		return;
	st->tls->shut = true;
	ERR_clear_error();
	/* 0: the peer's close_notify has not come, and is not waited for; < 0: the session was broken before */
	SSL_shutdown(st->tls->ssl);
	ERR_clear_error();
}

/* ---- ending ---- */

void stream_tls_free(struct stream *st)
{
	struct stream_tls *tls = st->tls;

	if (!tls)
		return;
	signing_free(tls->signing, tls->ssl);
	SSL_free(tls->ssl);
	X509_free(tls->refused);
	handshake_over(st);
	tls_context_unref(tls->context);
	free(tls->resumption);
	buf_fini(&tls->wire);
	stream_wipe(&tls->plain);
	free(tls);
	st->tls = NULL;
}
