/* probe.c - one dialogue with a mail server, on a thread that can wait. */
#include "posthouse/probe.h"

#include "posthouse/buf.h"
#include "posthouse/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#define STEP_MS   5000
#define TOTAL_MS  15000
#define REPLY_MAX 16384 /* bytes of a reply that are kept: a server that says more is cut off */

struct dialogue {
	struct arena *arena;
	int fd;
	SSL *ssl;
	uint64_t until;
	struct buf in;
	bool lost;
};

/* ---- bytes ---- */

/* Wait until the socket can be read or written. False: time is over. */
static bool wait_for(struct dialogue *d, short events)
{
	uint64_t now = clock_mono_ms(), left = now < d->until ? d->until - now : 0;
	struct pollfd poll_fd = { .fd = d->fd, .events = events };

	return poll(&poll_fd, 1, (int)(left < STEP_MS ? left : STEP_MS)) > 0;
}

/* One call of OpenSSL returned `result`: is it to be made again? */
static bool again(struct dialogue *d, int result)
{
	int error = SSL_get_error(d->ssl, result);

	return (error == SSL_ERROR_WANT_READ && wait_for(d, POLLIN)) || (error == SSL_ERROR_WANT_WRITE && wait_for(d, POLLOUT));
}

static ssize_t read_some(struct dialogue *d, char *to, size_t n)
{
	int got;

	if (!d->ssl)
		return wait_for(d, POLLIN) ? recv(d->fd, to, n, 0) : -1;
	do
		got = SSL_read(d->ssl, to, (int)n);
	while (got <= 0 && again(d, got));
	return got;
}

static bool write_all(struct dialogue *d, struct str s)
{
	while (s.n > 0) {
		ssize_t n;

		if (d->ssl) {
			int wrote;

			do
				wrote = SSL_write(d->ssl, s.p, (int)s.n);
			while (wrote <= 0 && again(d, wrote));
			n = wrote;
		} else {
			n = wait_for(d, POLLOUT) ? send(d->fd, s.p, s.n, MSG_NOSIGNAL) : -1;
		}
		if (n <= 0)
			return false;
		s = str_from(s, (size_t)n);
	}
	return true;
}

/* ---- replies ---- */

/* Is the last line of the reply in the buffer? Its end. */
static size_t reply_end(struct str s)
{
	size_t at = 0;

	for (;;) {
		struct str line = str_from(s, at);
		size_t end = str_find(line, '\n');

		if (end == line.n)
			return 0;
		at += end + 1;
		if (end < 4 || line.p[3] != '-')
			return at;
	}
}

/* The lines of the next reply, with '\n' between them; "" and `lost`: none comes. */
static struct str read_reply(struct dialogue *d)
{
	struct str all = S(""), rest, line;
	char bytes[2048];
	size_t end;

	while (!d->lost && (end = reply_end(buf_view(&d->in))) == 0) {
		ssize_t n = read_some(d, bytes, sizeof bytes);

		d->lost = n <= 0 || !buf_add(&d->in, str_make(bytes, (size_t)n));
	}
	if (d->lost)
		return S("");
	for (rest = str_head(buf_view(&d->in), end); str_split(&rest, '\n', &line);)
		if (line.n > 0)
			all = arena_printf(d->arena, "%.*s%s%.*s", STR_ARG(all), all.n ? "\n" : "", STR_ARG(str_trim(line)));
	buf_consume(&d->in, end);
	return all;
}

static struct str say(struct dialogue *d, struct str line)
{
	if (d->lost || !write_all(d, arena_printf(d->arena, "%.*s\r\n", STR_ARG(line)))) {
		d->lost = true;
		return S("");
	}
	return read_reply(d);
}

/* ---- connection ---- */

static socklen_t read_address(struct arena *a, struct str text, unsigned port, struct sockaddr_storage *to)
{
	struct sockaddr_in *v4 = (void *)to;
	struct sockaddr_in6 *v6 = (void *)to;
	const char *z = arena_cstr(a, text);

	memset(to, 0, sizeof *to);
	if (inet_pton(AF_INET, z, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		return sizeof *v4;
	}
	if (inet_pton(AF_INET6, z, &v6->sin6_addr) != 1)
		return 0;
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	return sizeof *v6;
}

/* 0, or the number of the error. */
static int connect_to(struct dialogue *d, const struct probe *p)
{
	struct sockaddr_storage to, from;
	socklen_t n = read_address(d->arena, p->host, p->port, &to), from_n, error_n = sizeof(int);
	int error = 0;

	if (n == 0)
		return EINVAL;
	d->fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return errno;
	from_n = p->source.n > 0 ? read_address(d->arena, p->source, 0, &from) : 0;
	if (from_n > 0 && from.ss_family == to.ss_family && bind(d->fd, (struct sockaddr *)&from, from_n) != 0)
		return errno;
	if (connect(d->fd, (struct sockaddr *)&to, n) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	if (!wait_for(d, POLLOUT))
		return ETIMEDOUT;
	return getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &error_n) == 0 ? error : errno;
}

/* ---- TLS ---- */

static struct str last_tls_error(struct arena *a)
{
	const char *reason = ERR_reason_error_string(ERR_peek_error());

	return reason ? arena_str(a, str_of(reason)) : S("the connection was closed, or there was no answer");
}

static SSL_CTX *tls_context(const struct probe *p)
{
	static const int versions[] = { TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION };
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context)
		return NULL;
	SSL_CTX_set_default_verify_paths(context);
	SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL); /* the result is told, and the dialogue goes on */
	if (p->tls_most > 0) {
		SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(context, versions[p->tls_most]);
		SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0"); /* old versions have weak signatures */
	}
	return context;
}

static void keep_chain(struct dialogue *d, struct fact_probe *f)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(d->ssl);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text;
	long n;

	for (int i = 0; chain && i < sk_X509_num(chain); i++)
		PEM_write_bio_X509(bio, sk_X509_value(chain, i));
	n = BIO_get_mem_data(bio, &text);
	f->chain_pem = arena_str(d->arena, str_make(text, n > 0 ? (size_t)n : 0));
	BIO_free(bio);
}

static void keep_result(struct dialogue *d, struct fact_probe *f)
{
	long verified = SSL_get_verify_result(d->ssl);

	f->tls = true;
	f->tls_text = arena_printf(d->arena, "%s %s", SSL_get_version(d->ssl), SSL_get_cipher_name(d->ssl));
	if (verified != X509_V_OK)
		f->verify = arena_str(d->arena, str_of(X509_verify_cert_error_string(verified)));
	keep_chain(d, f);
}

static void handshake(struct dialogue *d, const struct probe *p, struct fact_probe *f)
{
	const char *name = arena_cstr(d->arena, p->tls_name.n > 0 ? p->tls_name : p->host);
	SSL_CTX *context = tls_context(p);
	unsigned char address[16];
	bool is_address = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
	int result;

	ERR_clear_error();
	d->ssl = context ? SSL_new(context) : NULL;
	SSL_CTX_free(context); /* the connection keeps it */
	if (!d->ssl) {
		f->tls_why = last_tls_error(d->arena);
		d->lost = true;
		return;
	}
	if (is_address) {
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(d->ssl), name);
	} else {
		SSL_set_tlsext_host_name(d->ssl, name);
		SSL_set1_host(d->ssl, name);
	}
	SSL_set_fd(d->ssl, d->fd);
	do
		result = SSL_connect(d->ssl);
	while (result <= 0 && again(d, result));
	if (result == 1) {
		keep_result(d, f);
		return;
	}
	f->tls_why = last_tls_error(d->arena);
	d->lost = true;
}

/* ---- the dialogue ---- */

static void say_hello(struct dialogue *d, const struct probe *p, struct str name, struct fact_probe *f)
{
	struct str hello = arena_printf(d->arena, "EHLO %.*s", STR_ARG(name)), reply;

	f->ehlo = say(d, hello);
	if (p->tls != PROBE_STARTTLS || d->lost)
		return;
	f->ehlo_clear = f->ehlo;
	reply = say(d, S("STARTTLS"));
	if (!str_starts(reply, S("220"))) {
		f->tls_why = reply.n > 0 ? reply : S("the connection was closed");
		return;
	}
	buf_clear(&d->in);
	handshake(d, p, f);
	if (!d->lost)
		f->ehlo = say(d, hello);
}

static void talk(struct dialogue *d, const struct probe *p, struct str name, struct fact_probe *f)
{
	if (p->tls == PROBE_IMPLICIT)
		handshake(d, p, f);
	f->greeting = read_reply(d);
	if (str_starts(f->greeting, S("2")))
		say_hello(d, p, name, f);
	f->replies = ARENA_ARRAY(d->arena, struct str, p->lines.n + 1);
	if (str_starts(f->ehlo, S("2")) && (p->tls == PROBE_PLAIN || f->tls))
		while (!d->lost && f->replies_n < p->lines.n) {
			f->replies[f->replies_n] = say(d, p->lines.at[f->replies_n]);
			f->replies_n++;
		}
	if (!d->lost)
		(void)say(d, S("QUIT"));
}

void probe_run(struct arena *a, const struct probe *p, struct str ehlo, struct fact_probe *f)
{
	struct dialogue d = { .arena = a, .fd = -1, .until = clock_mono_ms() + TOTAL_MS };
	int error = connect_to(&d, p);

	*f = (struct fact_probe){ .state = FACT_THERE };
	if (error == 0) {
		buf_init(&d.in, REPLY_MAX);
		talk(&d, p, ehlo, f);
		buf_fini(&d.in);
	} else {
		f->state = FACT_UNKNOWN;
		f->why = arena_str(a, str_of(strerror(error)));
		f->refused = error == ECONNREFUSED;
		f->timed_out = error == ETIMEDOUT;
		f->unreachable = !f->refused && !f->timed_out;
	}
	SSL_free(d.ssl);
	if (d.fd >= 0)
		close(d.fd);
}
