/* peer.c */
#include "peer.h"

#include <string.h>

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct peer *p = SSL_get_app_data(ssl);

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1; /* ours now */
}

static void greet(struct end *e)
{
	if (e->tls.class == OK)
		stream_write(e->st, S("hi"));
	else
		stream_close(e->st);
}

static void prepare(struct peer *p, const struct peer_wants *wants)
{
	p->ctx = SSL_CTX_new(TLS_client_method());
	SSL_CTX_set_security_level(p->ctx, 0);
	SSL_CTX_set_min_proto_version(p->ctx, wants->version);
	SSL_CTX_set_max_proto_version(p->ctx, wants->version);
	SSL_CTX_set_session_cache_mode(p->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(p->ctx, on_new_session);
	if (wants->may_renegotiate)
		SSL_CTX_set_options(p->ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	if (wants->ciphers)
		assert_int_equal(SSL_CTX_set_cipher_list(p->ctx, wants->ciphers), 1);
	if (wants->signatures)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(p->ctx, wants->signatures), 1);
	if (wants->groups)
		assert_int_equal(SSL_CTX_set1_groups_list(p->ctx, wants->groups), 1);
	p->ssl = SSL_new(p->ctx);
	SSL_set_app_data(p->ssl, p);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	SSL_set_bio(p->ssl, p->in, p->out);
	SSL_set_connect_state(p->ssl);
	if (wants->name)
		SSL_set_tlsext_host_name(p->ssl, wants->name);
	if (wants->protocols)
		SSL_set_alpn_protos(p->ssl, (const unsigned char *)wants->protocols, (unsigned)strlen(wants->protocols));
	if (wants->session)
		assert_int_equal(SSL_set_session(p->ssl, wants->session), 1);
}

void peer_send(struct peer *p)
{
	char bytes[16384];
	int n;

	while ((n = BIO_read(p->out, bytes, sizeof bytes)) > 0)
		stream_write(p->f->client.st, str_make(bytes, (size_t)n));
}

static bool has_news(const void *what, size_t value)
{
	const struct end *e = what;

	return e->got.n > 0 || e->ends > 0;
}

bool peer_receive(struct peer *p)
{
	struct buf *got = &p->f->client.got;

	assert_true(run_while(&p->f->loop, has_news, &p->f->client, 0, PATIENCE_MS));
	if (got->n == 0)
		return false;
	BIO_write(p->in, buf_view(got).p, (int)got->n);
	buf_clear(got);
	return true;
}

void peer_begin(struct peer *p, struct fixture *f, struct tls_context *server, const struct peer_wants *wants)
{
	*p = (struct peer){ .f = f };
	prepare(p, wants);
	fixture_connect(f);
	f->server.tls_hook = greet;
	stream_start_server_tls(f->server.st, server);
	assert_true(SSL_do_handshake(p->ssl) <= 0);
	peer_send(p);
}

bool peer_connect(struct peer *p, struct fixture *f, struct tls_context *server, const struct peer_wants *wants)
{
	char hi[2];
	int r;

	peer_begin(p, f, server, wants);
	while ((r = SSL_read(p->ssl, hi, sizeof hi)) <= 0) { /* the handshake is done on the way */
		peer_send(p);
		if (SSL_get_error(p->ssl, r) != SSL_ERROR_WANT_READ || !peer_receive(p))
			return false;
	}
	peer_send(p);
	assert_int_equal(r, 2);
	return true;
}

void peer_free(struct peer *p)
{
	SSL_free(p->ssl);
	SSL_CTX_free(p->ctx);
	SSL_SESSION_free(p->session);
	fixture_disconnect(p->f);
}

struct str peer_certificate(struct peer *p)
{
	X509 *x = SSL_get0_peer_certificate(p->ssl);
	char name[256] = "";

	assert_non_null(x);
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof name);
	return arena_str(&p->f->arena, str_of(name));
}
