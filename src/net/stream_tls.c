/* stream_tls.c - TLS between a stream's socket and its user. OpenSSL reads and writes through a BIO of ours straight from the
 * shared read buffer and into the stream's output, so an idle session holds no buffer but OpenSSL's own state. */
#include "stream.h"

#include "posthouse/arena.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#define TLS_RECORD      16384
#define MANY_HANDSHAKES 32

/* Decrypted bytes on their way to on_input; shared like the buffer of stream_read.c. */
static char plain[STREAM_CHUNK];

/* ---- the BIO ---- */

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
	memcpy(to, part.p, part.n);
	tls->in = str_from(tls->in, part.n);
	return (int)part.n;
}

/* OpenSSL has ciphertext for the peer. What the peer itself causes (answers to key updates) is bounded, for it may not be
 * reading. */
static int bio_write(BIO *bio, const char *from, int size)
{
	struct stream *st = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (size <= 0 || (!st->tls->encrypting && st->out.n + st->sending.n > STREAM_HANDSHAKE_MAX))
		return -1;
	return buf_add(&st->out, str_make(from, (size_t)size)) ? size : -1;
}

/* Nothing to control: only a flush is asked for, and there is nothing between us and `out`. */
static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
	return command == BIO_CTRL_FLUSH;
}

/* The one method of all our BIOs. */
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

static size_t handshakes, most_handshakes; /* under way; at once since the last trim */

/* A handshake needs 30 KB that a session does not. What many at once leave behind lies between their sessions, where free()
 * alone does not return it to the system: without this a thousand idle sessions cost 47 KB each, with it 26. */
static void handshake_over(struct stream_tls *tls)
{
	if (tls->over)
		return;
	tls->over = true;
	if (--handshakes > 0 || most_handshakes < MANY_HANDSHAKES)
		return;
	most_handshakes = 0;
#ifdef __GLIBC__
	malloc_trim(0);
#endif
}

/* ---- beginning ---- */

/* Put TLS into the stream; what was read in the clear and not taken is gone (RFC 3207 section 4.2). */
static SSL *tls_begin(struct stream *st, struct tls_context *context)
{
	struct stream_tls *tls = NEW(struct stream_tls);
	BIO *bio = BIO_new(bio_method());

	tls->ssl = tls_context_session(context);
	if (!bio || !tls->ssl)
		abort(); /* no memory: as every other allocation */
	tls->context = tls_context_ref(context);
	tls->in = S("");
	buf_init(&tls->wire, STREAM_CHUNK);
	buf_init(&tls->plain, STREAM_UNSENT_MAX);
	BIO_set_data(bio, st);
	BIO_set_init(bio, 1);
	SSL_set_bio(tls->ssl, bio, bio);
	st->tls = tls;
	if (++handshakes > most_handshakes)
		most_handshakes = handshakes;
	buf_release(&st->unread);
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
	SSL_set_accept_state(tls_begin(st, t));
}

/* What the server must prove: that it is `name`, a host name or a literal address. */
static bool demand_name(SSL *ssl, const char *name, bool literal)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

	SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (literal)
		return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
	return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

void stream_start_client_tls(struct stream *st, struct tls_context *t, struct str name, bool verify)
{
	struct arena scratch = { 0 };
	struct in6_addr address;
	const char *z;
	bool literal, good;
	SSL *ssl;

	if (st->state > STREAM_OPEN || st->tls)
		return;
	ssl = tls_begin(st, t);
	SSL_set_connect_state(ssl);
	z = arena_cstr(&scratch, name);
	literal = inet_pton(AF_INET, z, &address) == 1 || inet_pton(AF_INET6, z, &address) == 1;
	good = name.n > 0 && strlen(z) == name.n;
	ERR_clear_error();
	/* RFC 6066 section 3: literal addresses are not permitted in SNI. */
	if (good && !literal && SSL_set_tlsext_host_name(ssl, z) != 1)
		good = false;
	if (verify && !(good && demand_name(ssl, z, literal)))
		st->tls->fault = perm(550, S("5.7.5"), S("the name the certificate should bear is not a host name"));
	else if (SSL_do_handshake(ssl) == 1 || SSL_get_error(ssl, -1) != SSL_ERROR_WANT_READ)
		st->tls->fault = temp(421, S("4.7.5"), S("TLS handshake could not be begun"));
	arena_fini(&scratch);
	stream_due(st);
}

/* ---- handshake ---- */

/* What went wrong, in OpenSSL's words. */
static const char *tls_reason(void)
{
	const char *reason = ERR_reason_error_string(ERR_get_error());

	ERR_clear_error();
	return reason ? reason : "protocol error";
}

/* The handshake has failed. The alert that tells the peer why goes out before the user closes. */
void stream_tls_fail(struct stream *st, struct verdict v)
{
	st->tls->failed = true;
	uv_read_stop((uv_stream_t *)&st->tcp);
	stream_flush(st);
	st->state = STREAM_ENDED;
	if (st->ops->on_tls)
		st->ops->on_tls(st->ctx, st, v);
}

/* Go on with the handshake; true when it is done and the stream still open. */
static bool handshake(struct stream *st)
{
	SSL *ssl = st->tls->ssl;
	long verified;
	int r;

	ERR_clear_error();
	r = SSL_do_handshake(ssl);
	if (r == 1) {
		st->tls->done = true;
		handshake_over(st->tls);
		stream_due(st); /* what was written meanwhile can be encrypted now */
		if (st->ops->on_tls)
			st->ops->on_tls(st->ctx, st, ok());
		return st->state == STREAM_OPEN;
	}
	if (SSL_get_error(ssl, r) == SSL_ERROR_WANT_READ)
		return false;
	verified = SSL_get_verify_result(ssl);
	if (!SSL_is_server(ssl) && verified != X509_V_OK && (SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER)) {
		stream_set_text(st, "certificate not accepted: %s", X509_verify_cert_error_string(verified));
		stream_tls_fail(st, perm(550, S("5.7.5"), buf_view(&st->text)));
		return false;
	}
	stream_set_text(st, "TLS handshake: %s", tls_reason());
	stream_tls_fail(st, temp(421, S("4.7.5"), buf_view(&st->text)));
	return false;
}

/* ---- bytes in ---- */

/* Decrypt what there is, at most a chunk; *error_out is SSL_ERROR_NONE when there may be more. */
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

/* Use up tls->in, as far as the user takes what comes of it. */
static void read_on(struct stream *st)
{
	struct stream_tls *tls = st->tls;
	size_t n;
	int error;

	if (tls->failed || (!tls->done && !handshake(st)))
		return;
	while (st->state == STREAM_OPEN && !st->paused) {
		n = decrypt(tls->ssl, &error);
		if (n > 0 && !stream_offer(st, str_make(plain, n)))
			return;
		if (error == SSL_ERROR_WANT_READ)
			return;
		if (error == SSL_ERROR_NONE)
			continue;
		stream_set_text(st, "TLS: %s", tls_reason());
		stream_flush(st); /* our alert */
		stream_end(st, error == SSL_ERROR_ZERO_RETURN ? S("") : buf_view(&st->text));
	}
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

/* The user takes more: first what had to wait encrypted, then what is left inside OpenSSL. */
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

/* Encrypt what was written until `out` has a chunk, in records as large as TLS allows. */
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
		buf_consume(&tls->plain, n);
	}
	if (tls->plain.n == 0)
		buf_release(&tls->plain);
}

/* Say that nothing follows: close_notify, once, and only on a session that is in order. */
void stream_tls_shutdown(struct stream *st)
{
	if (st->tls->shut || !st->tls->done)
		return;
	st->tls->shut = true;
	ERR_clear_error();
	SSL_shutdown(
		st->tls->ssl); /* 0: the peer's has not come, which we do not wait for; < 0: the session was broken already */
	ERR_clear_error();
}

/* ---- what it has become ---- */

void stream_tls_info(const struct stream *st, struct stream_tls_info *info_out)
{
	*info_out = (struct stream_tls_info){ .version = "", .cipher = "" };
	if (!st->tls || !st->tls->done)
		return;
	info_out->on = true;
	info_out->version = SSL_get_version(st->tls->ssl);
	info_out->cipher = SSL_get_cipher_name(st->tls->ssl);
	info_out->bits = (unsigned)SSL_get_cipher_bits(st->tls->ssl, NULL);
}

void stream_tls_free(struct stream_tls *tls)
{
	if (!tls)
		return;
	SSL_free(tls->ssl);
	handshake_over(tls);
	tls_context_unref(tls->context);
	buf_fini(&tls->wire);
	buf_fini(&tls->plain);
	free(tls);
}
