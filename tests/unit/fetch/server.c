/* server.c */
#include "server.h"

#include "tls.h"

#include <netinet/in.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS_MAX 64

static struct connection {
	struct server *server;
	struct stream *st;
	struct buf request;
	bool answered;
} connections[CONNECTIONS_MAX];

static const struct page *page_of(const struct server *s, struct str request)
{
	for (size_t i = 0; i < s->pages_n; i++)
		if (str_search(request, str_of(s->pages[i].path)) < str_find(request, '\r'))
			return &s->pages[i];
	fail_msg("no page for %.*s", STR_ARG(str_head(request, str_find(request, '\r'))));
	return NULL;
}

/* Has the request come to its end? Its body is as long as Content-Length says. */
static bool is_whole(struct str request)
{
	size_t head = str_search(request, S("\r\n\r\n")), at = str_search(request, S("Content-Length: "));

	if (head == request.n)
		return false;
	return at >= head || request.n - head - 4 >= strtoul(request.p + at + 16, NULL, 10);
}

static void answer(struct connection *c, const char *head, struct str more, bool open)
{
	c->answered = true;
	stream_write(c->st, str_of(head));
	stream_write(c->st, more);
	if (!open)
		stream_finish(c->st);
}

static size_t on_request(void *ctx, struct stream *st, struct str bytes)
{
	struct connection *c = ctx;
	struct str request;
	const struct page *page;

	if (!c->server->tls) { /* whatever the client begins */
		if (!c->answered && c->server->pages_n > 0)
			answer(c, c->server->pages[0].answer, S(""), false);
		return bytes.n;
	}
	assert_true(buf_add(&c->request, bytes) && buf_add_char(&c->request, '\0'));
	c->request.n--; /* strtoul() needs an end */
	request = buf_view(&c->request);
	if (c->answered || !is_whole(request))
		return bytes.n;
	c->server->requests++;
	snprintf(c->server->last, sizeof c->server->last, "%.*s", STR_ARG(request));
	page = page_of(c->server, request);
	if (page->answer)
		answer(c, page->answer, page->more, page->open);
	else
		c->server->held++;
	return bytes.n;
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	if (v.class != OK)
		stream_close(st);
}

static void on_end(void *ctx, struct stream *st, struct str why)
{
	stream_close(st);
}

static void on_closed(void *ctx, struct stream *st)
{
	struct connection *c = ctx;

	buf_fini(&c->request);
	c->server->open--;
	c->st = NULL;
}

static void on_connection(void *ctx, int fd)
{
	static const struct stream_ops ops = {
		.on_input = on_request, .on_tls = on_tls, .on_end = on_end, .on_closed = on_closed
	};
	struct server *s = ctx;
	size_t i = 0;

	while (i < CONNECTIONS_MAX && connections[i].st)
		i++;
	assert_true(i < CONNECTIONS_MAX);
	connections[i] = (struct connection){ .server = s };
	buf_init(&connections[i].request, 1 << 20);
	connections[i].st = stream_accept(s->loop, fd, &ops, &connections[i]);
	s->accepted++;
	s->open++;
	if (s->tls)
		stream_start_server_tls_behind(connections[i].st, s->tls);
}

/* net's own servers refuse a client that speaks HTTP. */
static int choose_http(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned in_n,
		       void *ctx)
{
	static const unsigned char http[] = "\x08http/1.1";

	return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_n, http, sizeof http - 1, in, in_n) ==
			       OPENSSL_NPN_NEGOTIATED
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void server_start(struct server *s, uv_loop_t *loop, const char *name, long ends_s, const struct page *pages, size_t n)
{
	struct tls_certificate made;
	struct tls_server_options options = { .certificates = &made, .n = 1, .minimum = TLS_1_2 };
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	struct verdict why = ok();
	size_t sockets;
	int fds[2];

	*s = (struct server){ .loop = loop, .pages = pages, .pages_n = n };
	assert_int_equal(listener_open(S("127.0.0.1"), 0, false, &s->arena, fds, &sockets).class, OK);
	assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &length), 0);
	s->port = ntohs(address.sin_port);
	s->listener = listener_serve(loop, fds[0], on_connection, s);
	if (!name)
		return;
	made = make_certificate_as(&s->arena, &(struct certificate_recipe){ "server", name, EVP_PKEY_EC, NULL, ends_s });
	s->ca_pem = made.chain_pem;
	s->tls = tls_server_context(&options, &s->arena, &why);
	assert_non_null(s->tls);
	for (size_t i = 0; i < s->tls->n; i++)
		SSL_CTX_set_alpn_select_cb(s->tls->sets[i].ctx, choose_http, NULL);
}

void server_release(struct server *s, const char *head)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (connections[i].st && connections[i].server == s && !connections[i].answered && connections[i].request.n > 0)
			answer(&connections[i], head, S(""), false);
}

void server_end(struct server *s)
{
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		if (connections[i].st && connections[i].server == s)
			stream_close(connections[i].st);
	listener_close(s->listener);
	while (s->open > 0)
		uv_run(s->loop, UV_RUN_ONCE);
	tls_context_unref(s->tls);
	arena_fini(&s->arena);
}
