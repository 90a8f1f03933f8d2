/* fixture.c */
#include "fixture.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <netinet/in.h>
#include <stdlib.h>

static size_t on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct end *e = ctx;
	size_t n = e->take_max && e->take_max < bytes.n ? e->take_max : bytes.n;

	assert_int_equal(e->ends, 0);
	e->inputs++;
	e->received += n;
	if (!e->discard)
		assert_true(buf_add(&e->got, str_head(bytes, n)));
	if (e->input_hook)
		e->input_hook(e);
	return n;
}

static void on_drain(void *ctx, struct stream *st)
{
	struct end *e = ctx;

	e->drains++;
	if (e->drain_hook)
		e->drain_hook(e);
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct end *e = ctx;

	e->handshakes++;
	e->tls = verdict_keep(&e->texts, v);
	if (e->tls_hook)
		e->tls_hook(e);
}

static void on_connect(void *ctx, struct stream *st, struct verdict v)
{
	struct end *e = ctx;

	e->connects++;
	e->connect = verdict_keep(&e->texts, v);
	if (e->connect_hook)
		e->connect_hook(e);
}

static void on_end(void *ctx, struct stream *st, struct str why)
{
	struct end *e = ctx;

	e->ends++;
	e->why = arena_str(&e->texts, why);
	if (e->end_hook)
		e->end_hook(e);
}

static void on_closed(void *ctx, struct stream *st)
{
	struct end *e = ctx;

	e->closes++;
	e->st = NULL;
}

void (*end_sign)(void *ctx, struct stream *st, const struct tls_to_sign *what);

static void on_sign(void *ctx, struct stream *st, const struct tls_to_sign *what)
{
	end_sign(ctx, st, what);
}

const struct stream_ops end_ops = { on_input, on_drain, on_tls, on_connect, on_end, on_closed, on_sign };

void end_init(struct end *e)
{
	*e = (struct end){ 0 };
	buf_init(&e->got, (size_t)64 << 20);
}

void end_fini(struct end *e)
{
	buf_fini(&e->got);
	arena_fini(&e->texts);
}

static void on_connection(void *ctx, int fd)
{
	struct fixture *f = ctx;

	if (!f->server.st)
		f->server.st = stream_accept(&f->loop, fd, &end_ops, &f->server);
	else
		stream_close(stream_accept(&f->loop, fd, &end_ops, &f->server));
	f->accepted++;
	if (f->accept_hook)
		f->accept_hook(f);
}

int fixture_setup(void **state)
{
	struct fixture *f = NEW(struct fixture);
	struct sockaddr_in name;
	socklen_t length = sizeof(name);
	int fds[2];
	size_t n;

	uv_loop_init(&f->loop);
	end_init(&f->client);
	end_init(&f->server);
	assert_int_equal(listener_open(S("127.0.0.1"), 0, false, &f->arena, fds, &n).class, OK);
	assert_int_equal(n, 1);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&name, &length), 0);
	f->port = ntohs(name.sin_port);
	f->listener = listener_serve(&f->loop, fds[0], on_connection, f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	int open;

	if (f->client.st)
		stream_close(f->client.st);
	if (f->server.st)
		stream_close(f->server.st);
	if (f->listener)
		listener_close(f->listener);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	open = uv_loop_close(&f->loop);
	end_fini(&f->client);
	end_fini(&f->server);
	arena_fini(&f->arena);
	free(f);
	return open;
}

void fixture_connect(struct fixture *f)
{
	struct sockaddr_in to;

	uv_ip4_addr("127.0.0.1", (int)f->port, &to);
	f->client.st = stream_connect_from(&f->loop, NULL, (const struct sockaddr *)&to, &end_ops, &f->client);
	assert_true(run_until(&f->loop, &f->client.connects, 1));
	assert_int_equal(f->client.connect.class, OK);
	assert_true(run_until(&f->loop, &f->accepted, 1));
	assert_non_null(f->server.st);
}

void client_tls(struct end *client, struct tls_context *t, struct str name, bool verify)
{
	stream_start_client_tls(
		client->st, t,
		&(struct tls_client_options){ .names = { &name, 1 }, .demand = verify ? TLS_DEMAND_NAMES : TLS_DEMAND_NOTHING });
}

void fixture_disconnect(struct fixture *f)
{
	if (f->client.st)
		stream_close(f->client.st);
	if (f->server.st)
		stream_close(f->server.st);
	assert_true(!f->client.st || run_until(&f->loop, &f->client.closes, 1));
	assert_true(!f->server.st || run_until(&f->loop, &f->server.closes, 1));
	end_fini(&f->client);
	end_fini(&f->server);
	end_init(&f->client);
	end_init(&f->server);
	f->accepted = 0;
}

bool run_while(uv_loop_t *loop, bool (*reached)(const void *what, size_t value), const void *what, size_t value, unsigned ms)
{
	struct patience *p = patience_begin(loop, ms);

	while (!reached(what, value) && patience_wait(p))
		;
	patience_end(p);
	return reached(what, value);
}

static bool counted(const void *what, size_t value)
{
	return *(const unsigned *)what >= value;
}

static bool has_received(const void *what, size_t value)
{
	return ((const struct end *)what)->received >= value;
}

static bool never(const void *what, size_t value)
{
	return false;
}

bool run_until(uv_loop_t *loop, const unsigned *counter, unsigned value)
{
	return run_while(loop, counted, counter, value, PATIENCE_MS);
}

bool run_until_received(uv_loop_t *loop, const struct end *e, size_t bytes)
{
	return run_while(loop, has_received, e, bytes, PATIENCE_MS);
}

void run_for(uv_loop_t *loop, unsigned ms)
{
	run_while(loop, never, NULL, 0, ms);
}

static void add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, x, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

/* What a memory BIO holds, in the arena. */
static struct str bio_text(struct arena *a, BIO *bio)
{
	char *p;
	long n = BIO_get_mem_data(bio, &p);
	struct str text = arena_str(a, str_make(p, (size_t)n));

	BIO_free(bio);
	return text;
}

/* Sign as the issuer, or as itself. */
static void sign(X509 *x, EVP_PKEY *own, const struct tls_certificate *issuer, const EVP_MD *md)
{
	BIO *chain, *private;
	X509 *above;
	EVP_PKEY *key;

	if (!issuer) {
		X509_set_issuer_name(x, X509_get_subject_name(x));
		assert_true(X509_sign(x, own, md) > 0);
		return;
	}
	chain = BIO_new_mem_buf(issuer->chain_pem.p, (int)issuer->chain_pem.n);
	private = BIO_new_mem_buf(issuer->key_pem.p, (int)issuer->key_pem.n);
	above = PEM_read_bio_X509(chain, NULL, NULL, NULL);
	key = PEM_read_bio_PrivateKey(private, NULL, NULL, NULL);
	assert_true(above && key);
	X509_set_issuer_name(x, X509_get_subject_name(above));
	assert_true(X509_sign(x, key, md) > 0);
	X509_free(above);
	EVP_PKEY_free(key);
	BIO_free(chain);
	BIO_free(private);
}

static EVP_PKEY *make_key(int kind)
{
	if (kind == EVP_PKEY_RSA)
		return EVP_RSA_gen(2048);
	if (kind == NID_secp384r1)
		return EVP_EC_gen("P-384");
	return kind == EVP_PKEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256");
}

struct tls_certificate make_certificate_as(struct arena *a, const struct certificate_recipe *recipe)
{
	EVP_PKEY *key = make_key(recipe->kind);
	X509 *x = X509_new();
	X509_NAME *subject = X509_get_subject_name(x);
	BIO *chain = BIO_new(BIO_s_mem()), *private = BIO_new(BIO_s_mem());
	const EVP_MD *md = recipe->kind == EVP_PKEY_ED25519 ? NULL : EVP_get_digestbyname(recipe->hash ? recipe->hash : "SHA256");
	struct tls_certificate made;

	assert_non_null(key);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), recipe->ends_s ? recipe->ends_s : 86400);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)recipe->name, -1, -1, 0);
	if (recipe->also)
		add_extension(x, NID_subject_alt_name, recipe->also);
	if (recipe->authority)
		add_extension(x, NID_basic_constraints, "critical,CA:TRUE");
	sign(x, key, recipe->issuer, md);
	PEM_write_bio_X509(chain, x);
	PEM_write_bio_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL);
	made = (struct tls_certificate){ bio_text(a, chain), bio_text(a, private) };
	X509_free(x);
	EVP_PKEY_free(key);
	return made;
}

void make_certificate(struct arena *a, const char *name, struct str *chain_pem_out, struct str *key_pem_out)
{
	const char *also = arena_cstr(a, arena_printf(a, "DNS:%s,IP:127.0.0.1", name));
	struct tls_certificate made = make_certificate_as(a, &(struct certificate_recipe){ name, also, EVP_PKEY_EC, NULL });

	*chain_pem_out = made.chain_pem;
	*key_pem_out = made.key_pem;
}

struct tls_context *server_context(struct fixture *f, struct str chain_pem, struct str key_pem, enum tls_version minimum,
				   struct verdict *why_out)
{
	struct tls_certificate certificate = { chain_pem, key_pem };
	struct tls_server_options options = { .certificates = &certificate, .n = 1, .minimum = minimum };

	return tls_server_context(&options, &f->arena, why_out);
}
