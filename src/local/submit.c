/* submit.c - one message is submitted by SMTP on a connected socket: blocking code, in the order of the dialogue. */
#include "posthouse/local.h"
#include "posthouse/policy.h"
#include "posthouse/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CONNECT_S 10    /* while the relay accepts nobody */
#define REPLY_MAX 65536 /* bytes of one reply, all lines */
#define PIECE     32768 /* bytes of text that are read at once */

struct dialogue {
	int fd;
	struct arena *arena;
	bool shown;
	struct buf in;  /* what has come and is not read so far */
	struct buf out; /* text on its way */
};

int local_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval within = { .tv_sec = CONNECT_S };
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
	if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

/* ---- bytes ---- */

static void show(const struct dialogue *d, char who, struct str line)
{
	if (d->shown)
		fprintf(stderr, "%c: %.*s\n", who, STR_ARG(utf8_shown(d->arena, str_trim(line))));
}

static struct verdict lost(struct dialogue *d, const char *why)
{
	return temp(421, S("4.4.2"), arena_printf(d->arena, "the relay does not answer: %s", why));
}

static struct verdict say(struct dialogue *d, struct str s)
{
	while (s.n > 0) {
		ssize_t n = send(d->fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return lost(d, errno == EAGAIN ? "it takes no more" : strerror(errno));
		if (n > 0)
			s = str_from(s, (size_t)n);
	}
	return ok();
}

/* A line without its end; it lives in the arena. */
static struct verdict hear_line(struct dialogue *d, struct str *line_out)
{
	for (;;) {
		struct str all = buf_view(&d->in);
		size_t end = str_find(all, '\n');
		char *room;
		ssize_t n;

		if (end < all.n) {
			*line_out = arena_str(d->arena, str_trim(str_head(all, end)));
			buf_consume(&d->in, end + 1);
			show(d, 'S', *line_out);
			return ok();
		}
		room = buf_reserve(&d->in, 4096);
		if (!room)
			return lost(d, "a line of its reply has no end");
		n = recv(d->fd, room, 4096, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lost(d, n == 0            ? "it has ended the connection"
				       : errno == EAGAIN ? "no reply came"
							 : strerror(errno));
		buf_claim(&d->in, (size_t)n);
	}
}

/* RFC 5321 4.2: "250-text" goes on, "250 text" ends. 2xx and 3xx are OK. The text is that of the last line. */
static struct verdict hear(struct dialogue *d)
{
	size_t bytes = 0;

	for (;;) {
		struct str line, text;
		struct verdict v = hear_line(d, &line);
		uint64_t code;
		size_t n;

		if (v.class != OK)
			return v;
		bytes += line.n;
		if (bytes > REPLY_MAX || !str_to_u64(str_head(line, 3), &code) || code < 200 || code > 599)
			return lost(d, "what it says is no reply of SMTP");
		if (line.n > 3 && line.p[3] == '-')
			continue;
		text = str_from(line, 4);
		n = enhanced_length(text);
		return (struct verdict){ .class = code < 400   ? OK
						  : code < 500 ? TEMP
							       : PERM,
					 .code = (uint16_t)code,
					 .enhanced = str_head(text, n),
					 .text = str_trim(str_from(text, n)) };
	}
}

static struct verdict command(struct dialogue *d, struct str line)
{
	struct verdict v;

	show(d, 'C', line);
	v = say(d, line);
	return v.class == OK ? hear(d) : v;
}

/* ---- envelope ---- */

static bool needs_utf8(const struct local_message *m)
{
	for (size_t i = 0; i < m->recipients_n; i++)
		if (!str_is_ascii(m->recipients[i].address))
			return true;
	return !str_is_ascii(m->sender);
}

static struct verdict mail_from(struct dialogue *d, const struct local_message *m, uint64_t size)
{
	struct str sender = m->has_sender ? m->sender : S(LOCAL_SELF);

	return command(d, arena_printf(d->arena, "MAIL FROM:<%.*s> SIZE=%llu BODY=8BITMIME%s%s%.*s\r\n", STR_ARG(sender),
				       (unsigned long long)size, needs_utf8(m) ? " SMTPUTF8" : "", m->parameters.n > 0 ? " " : "",
				       STR_ARG(m->parameters)));
}

/* All recipients, until one is TEMP: then nothing is sent. */
static struct verdict name_recipients(struct dialogue *d, const struct local_message *m)
{
	struct verdict refusal = ok();
	size_t taken = 0;

	for (size_t i = 0; i < m->recipients_n; i++) {
		struct local_recipient *r = &m->recipients[i];

		r->verdict = command(d, arena_printf(d->arena, "RCPT TO:<%.*s>%s%.*s\r\n", STR_ARG(r->address),
						     r->parameters.n > 0 ? " " : "", STR_ARG(r->parameters)));
		if (r->verdict.class == TEMP)
			return r->verdict;
		if (r->verdict.class == OK)
			taken++;
		else
			refusal = r->verdict;
	}
	return taken > 0 ? ok() : refusal;
}

/* ---- text ---- */

/* Whole lines end with CRLF, and a dot in front is doubled (RFC 5321 4.5.2). *last is the byte before `piece`. */
static void add_text(struct buf *out, struct str piece, char *last)
{
	for (size_t i = 0; i < piece.n; i++) {
		char c = piece.p[i];

		if (c == '.' && *last == '\n')
			buf_add_char(out, '.');
		if (c == '\n' && *last != '\r')
			buf_add_char(out, '\r');
		buf_add_char(out, c);
		*last = c;
	}
}

/* As long as the text was at first: a file that somebody goes on writing has no end. */
static struct verdict send_text(struct dialogue *d, int text_fd, uint64_t from, uint64_t size)
{
	char bytes[PIECE], last = '\n';
	uint64_t end = from + size;

	for (;;) {
		size_t most = end - from < sizeof bytes ? (size_t)(end - from) : sizeof bytes;
		ssize_t n = pread(text_fd, bytes, most, (off_t)from);
		struct verdict v;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return temp(451, S("4.3.0"), arena_printf(d->arena, "the message cannot be read: %s", strerror(errno)));
		if (n == 0)
			return command(d, last == '\n' ? S(".\r\n") : S("\r\n.\r\n"));
		from += (uint64_t)n;
		add_text(&d->out, str_make(bytes, (size_t)n), &last);
		v = say(d, buf_view(&d->out));
		if (v.class != OK)
			return v;
		buf_clear(&d->out);
	}
}

static uint64_t size_of(int text_fd, uint64_t from)
{
	struct stat st;

	return fstat(text_fd, &st) == 0 && (uint64_t)st.st_size > from ? (uint64_t)st.st_size - from : 0;
}

static struct verdict converse(struct dialogue *d, const struct local_message *m, int text_fd, uint64_t from)
{
	uint64_t size = size_of(text_fd, from);
	struct verdict v = hear(d);

	if (v.class == OK)
		v = command(d, S("EHLO localhost\r\n"));
	if (v.class == OK)
		v = mail_from(d, m, size);
	if (v.class == OK)
		v = name_recipients(d, m);
	if (v.class == OK && text_fd >= 0)
		v = command(d, S("DATA\r\n"));
	if (v.class == OK && text_fd >= 0)
		v = send_text(d, text_fd, from, size);
	return v;
}

struct verdict local_submit(int fd, const struct local_message *m, int text_fd, uint64_t from, uint64_t within_ms,
			    struct arena *a)
{
	struct timeval within = { .tv_sec = (time_t)(within_ms / 1000), .tv_usec = (suseconds_t)(within_ms % 1000 * 1000) };
	struct dialogue d = { .fd = fd, .arena = a, .shown = m->shown };
	struct verdict v;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &within, sizeof within);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &within, sizeof within);
	buf_init(&d.in, REPLY_MAX);
	buf_init(&d.out, 3 * PIECE);
	v = converse(&d, m, text_fd, from);
	if (v.class == OK)
		command(&d, S("QUIT\r\n"));
	buf_fini(&d.in);
	buf_fini(&d.out);
	close(fd);
	return v;
}
