/* outside.c - strangers: clients of a door of the role, and the servers that the role connects to. TLS goes over memory BIOs, so
 * that an act can also put raw bytes between its records. */
#include "acts.h"
#include "world.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define DOORS_MAX       4
#define CONNECTIONS_MAX 4
#define LINE_MAX_BYTES  4096

static struct connection {
	int fd; /* -1: free */
	bool server, data;
	SSL *ssl;          /* NULL: none yet */
	bool heard_plain;  /* the role has spoken before TLS: it does not greet within */
	bool said_secret;  /* the client has said something within TLS */
	struct str bend;   /* how the handshake is changed */
	size_t records_at; /* bytes of the handshake that went out */
	char line[LINE_MAX_BYTES];
	size_t line_n;
} connections[CONNECTIONS_MAX];

static int doors[DOORS_MAX];
static unsigned doors_n, next;
static int upstream = -1;
static bool serving;
static SSL_CTX *client_context, *server_context;

/* ---- the beginning ---- */
unsigned outside_port(void)
{
	struct sockaddr_in name;
	socklen_t n = sizeof name;

	getsockname(upstream, (struct sockaddr *)&name, &n);
	return ntohs(name.sin_port);
}

void outside_begin(void)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };

	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		connections[i].fd = -1;
	upstream = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (upstream < 0 || bind(upstream, (struct sockaddr *)&name, sizeof name) != 0 || listen(upstream, 100) != 0)
		abort();
}

void outside_door(int fd)
{
	doors[doors_n++] = fd;
}

void outside_serve(bool serve)
{
	serving = serve;
}

static SSL_CTX *context_of(bool server)
{
	SSL_CTX **context = server ? &server_context : &client_context;

	if (*context)
		return *context;
	*context = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (server && (SSL_CTX_use_certificate_chain_file(*context, world_path("chain.pem")) != 1 ||
		       SSL_CTX_use_PrivateKey_file(*context, world_path("key.pem"), SSL_FILETYPE_PEM) != 1))
		abort();
	return *context;
}

/* ---- connections ---- */
static void end(struct connection *c)
{
	SSL_free(c->ssl);
	if (c->fd >= 0)
		close(c->fd);
	*c = (struct connection){ .fd = -1 };
}

void outside_end(void)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		end(&connections[i]);
	next = 0;
}

static struct connection *new_connection(int fd, bool server)
{
	struct linger at_once = { .l_onoff = 1 };
	struct connection *c = &connections[next++ % CONNECTIONS_MAX];

	end(c);
	c->fd = fd;
	c->server = server;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* no port waits for what was in flight */
	return c;
}

static void send_plain(struct connection *c, const void *bytes, size_t n)
{
	if (c->fd >= 0 && n > 0 && send(c->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN)
		end(c);
}

static void bend(struct connection *c, char *bytes, size_t n)
{
	for (struct str b = c->bend; b.n >= 3; b = str_from(b, 3)) {
		size_t at = (size_t)(unsigned char)b.p[0] | (size_t)(unsigned char)b.p[1] << 8;

		if (at >= c->records_at && at - c->records_at < n)
			bytes[at - c->records_at] ^= b.p[2];
	}
	c->records_at += n;
}

static void send_records(struct connection *c)
{
	static char bytes[65536];
	int n;

	while (c->ssl && (n = BIO_read(SSL_get_wbio(c->ssl), bytes, sizeof bytes)) > 0) {
		bend(c, bytes, (size_t)n);
		send_plain(c, bytes, (size_t)n);
	}
}

static void begin_tls(struct connection *c, struct str name, struct str how)
{
	char host[256] = "";

	if (c->ssl)
		return;
	c->bend = how;
	c->ssl = SSL_new(context_of(c->server));
	memcpy(host, name.p, name.n < sizeof host ? name.n : 0);
	if (!c->server && host[0])
		SSL_set_tlsext_host_name(c->ssl, host);
	SSL_set_bio(c->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	if (c->server)
		SSL_set_accept_state(c->ssl);
	else
		SSL_set_connect_state(c->ssl);
	SSL_do_handshake(c->ssl);
	send_records(c);
}

static void say(struct connection *c, struct str bytes)
{
	if (!c->ssl) {
		send_plain(c, bytes.p, bytes.n);
		return;
	}
	if (bytes.n > 0 && SSL_write(c->ssl, bytes.p, (int)bytes.n) > 0)
		c->said_secret = true;
	send_records(c);
}

int outside_pair(void)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		abort();
	new_connection(ends[0], false);
	return ends[1];
}

static void connect_to(unsigned door)
{
	struct sockaddr_in name;
	socklen_t n = sizeof name;
	int fd;

	if (doors_n == 0 || getsockname(doors[door % doors_n], (struct sockaddr *)&name, &n) != 0 || name.sin_family != AF_INET)
		return;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&name, n) == 0)
		new_connection(fd, false);
	else if (fd >= 0)
		close(fd);
}

void outside_act(unsigned who, unsigned what, struct str bytes)
{
	struct connection *c = &connections[who % CONNECTIONS_MAX];

	if (what % OUTSIDE_DEEDS == OUTSIDE_CONNECT) {
		connect_to(who);
		return;
	}
	if (c->fd < 0)
		return;
	switch ((enum outside_deed)(what % OUTSIDE_DEEDS)) {
	case OUTSIDE_SAY: send_plain(c, bytes.p, bytes.n); break;
	case OUTSIDE_TLS: begin_tls(c, bytes, S("")); break;
	case OUTSIDE_BENT: begin_tls(c, S(""), bytes); break;
	case OUTSIDE_SAY_TLS: say(c, bytes); break;
	case OUTSIDE_HALF: shutdown(c->fd, SHUT_WR); break;
	default: end(c); break;
	}
}

/* ---- hearing ---- */
/* A mail server that is content with all. */
static void serve_line(struct connection *c, struct str line)
{
	if (c->data) {
		c->data = !str_eq(line, S("."));
		if (!c->data)
			say(c, S("250 2.0.0 taken\r\n"));
	} else if (str_istarts(line, S("EHLO"))) {
		say(c, c->ssl ? S("250-mx\r\n250-8BITMIME\r\n250-DSN\r\n250 AUTH PLAIN XOAUTH2\r\n")
			      : S("250-mx\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 AUTH PLAIN XOAUTH2\r\n"));
	} else if (str_istarts(line, S("DATA"))) {
		c->data = true;
		say(c, S("354 go\r\n"));
	} else if (str_istarts(line, S("AUTH"))) {
		say(c, S("235 2.7.0 welcome\r\n"));
	} else if (str_istarts(line, S("STARTTLS"))) {
		say(c, S("220 2.0.0 go\r\n"));
		begin_tls(c, S(""), S(""));
	} else {
		say(c, S("250 2.0.0 well\r\n"));
	}
}

static void take_lines(struct connection *c, struct str bytes)
{
	for (size_t i = 0; i < bytes.n && serving && c->server; i++) {
		if (bytes.p[i] == '\n' || c->line_n == sizeof c->line) {
			struct str line = str_trim(str_make(c->line, c->line_n));

			c->line_n = 0;
			serve_line(c, line);
		} else {
			c->line[c->line_n++] = bytes.p[i];
		}
	}
}

/* RFC 3207 4.2: after STARTTLS the server forgets what was said before. Then it answers nothing within TLS before the client has
 * said something there; it can only end the session. */
static void check_answer(const struct connection *c, struct str answer)
{
	if (c->server || !c->heard_plain || c->said_secret || str_starts(answer, S("421")))
		return;
	fprintf(stderr, "what was said before TLS is answered within: %.*s\n", STR_ARG(answer));
	abort();
}

bool outside_is_secret(void)
{
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		if (connections[i].ssl && !connections[i].server && connections[i].said_secret)
			return true;
	return false;
}

static bool hear(struct connection *c)
{
	static char bytes[65536], plain[65536];
	ssize_t n = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
	int got;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n <= 0) {
		end(c);
		return false;
	}
	if (!c->ssl) {
		c->heard_plain = true;
		take_lines(c, str_make(bytes, (size_t)n));
		return true;
	}
	BIO_write(SSL_get_rbio(c->ssl), bytes, (int)n);
	while (c->ssl && (got = SSL_read(c->ssl, plain, sizeof plain)) > 0) {
		check_answer(c, str_make(plain, (size_t)got));
		take_lines(c, str_make(plain, (size_t)got));
	}
	send_records(c);
	return true;
}

bool outside_hear(void)
{
	bool any = false;
	int fd;

	while ((fd = accept4(upstream, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		struct connection *c = new_connection(fd, true);

		any = true;
		if (serving)
			say(c, S("220 mx ESMTP\r\n"));
	}
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		for (int k = 0; k < 100 && connections[i].fd >= 0 && hear(&connections[i]); k++)
			any = true;
	return any;
}
