/* send_read.c - reads a message from standard input to its end, before anybody is asked to take it: what came in half must not be
 * sent. Small texts stay in memory, larger ones go to a file that has no name. */
#include "send.h"

#include "posthouse/clock.h"
#include "posthouse/file.h"
#include "posthouse/log.h"
#include "posthouse/mail.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#define PIECE      65536
#define MEMORY_MAX (1024 * 1024)

struct reading {
	struct arena *arena;
	struct outgoing *m;
	struct header_collector collector;
	struct send_lines lines;
	bool begun; /* the header section is written */
	bool in_file;
};

/* ---- the text ---- */

static void write_all(int fd, struct str s)
{
	if (!file_write(fd, s))
		die(EX_IOERR, "the message cannot be kept while it is read (%s): it was not sent", strerror(errno));
}

/* A file without a name, or -1. */
static int open_file(void)
{
	const char *const places[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };
	int fd = -1;

	for (size_t i = 0; fd < 0 && i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i] && *places[i])
			fd = open(places[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd;
}

/* From memory to a file. */
static void move_to_file(struct reading *r)
{
	struct outgoing *m = r->m;
	char bytes[PIECE];
	off_t at = 0;
	ssize_t n;
	int fd = open_file();

	if (fd < 0)
		die(EX_CANTCREAT,
		    "a message of more than 1 MiB needs room for a file in $TMPDIR, /var/tmp or /tmp (%s): it was not sent",
		    strerror(errno));
	for (; (n = pread(m->text_fd, bytes, sizeof bytes, at)) > 0; at += n)
		write_all(fd, str_make(bytes, (size_t)n));
	close(m->text_fd);
	m->text_fd = fd;
	r->in_file = true;
}

static void keep(struct reading *r, struct str s)
{
	write_all(r->m->text_fd, s);
	r->m->size += s.n;
	if (!r->in_file && r->m->size > MEMORY_MAX)
		move_to_file(r);
}

/* ---- the header section ---- */

/* Name and full name of who calls. */
static struct str author_of(struct reading *r)
{
	struct outgoing *m = r->m;
	const struct passwd *who = getpwuid(getuid());
	struct str user = send_user_name(r->arena);
	struct str name = m->full_name.n > 0 ? m->full_name
			  : who              ? send_gecos_name(r->arena, str_of(who->pw_gecos), user)
					     : S("");
	bool null_sender = m->has_sender && m->sender.n == 0;

	/* without a name the relay knows better whose mail it is */
	if (name.n == 0 && !(m->has_sender && m->sender.n > 0))
		return S("");
	return send_author(r->arena, name, m->has_sender && !null_sender ? m->sender : user);
}

static void begin_text(struct reading *r)
{
	struct send_header_wishes wishes = { .recipients = r->m->from_fields, .author = author_of(r), .now_ms = clock_now_ms() };
	struct str section;
	const char *fault = send_header(r->arena, buf_view(&r->collector.section), &wishes, &section, &r->m->recipients);

	if (fault)
		die(EX_DATAERR, "%s: the message was not sent", fault);
	r->begun = true;
	keep(r, section);
	keep(r, S("\r\n"));
}

static void check(struct verdict v)
{
	if (v.class != OK)
		die(EX_DATAERR, "%.*s: it was not sent", STR_ARG(v.text));
}

static void take(struct reading *r, struct str bytes)
{
	struct str rest = bytes;

	if (!r->collector.complete)
		check(header_collector_feed(&r->collector, bytes, &rest));
	if (!r->collector.complete)
		return;
	if (!r->begun) {
		begin_text(r);
		keep(r, r->collector.begun);
	}
	keep(r, rest);
}

/* ---- the whole ---- */

void send_read(struct arena *a, struct outgoing *m)
{
	struct reading r = { .arena = a, .m = m, .lines = { .dot_ends = !m->dot_is_text } };
	char bytes[PIECE];
	struct buf out;
	ssize_t n;

	m->text_fd = memfd_create("message", MFD_CLOEXEC);
	if (m->text_fd < 0)
		die(EX_OSERR, "no memory for the message: %s", strerror(errno));
	header_collector_init(&r.collector);
	buf_init(&out, 3 * PIECE);
	while (!r.lines.ended && (n = read(STDIN_FILENO, bytes, sizeof bytes)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			die(EX_IOERR, "standard input cannot be read (%s): the message was not sent", strerror(errno));
		send_lines_feed(&r.lines, str_make(bytes, (size_t)n), &out);
		take(&r, buf_view(&out));
		buf_clear(&out);
	}
	send_lines_end(&r.lines, &out);
	take(&r, buf_view(&out));
	if (!r.begun) {
		check(header_collector_end(&r.collector));
		begin_text(&r);
		keep(&r, r.collector.begun);
	}
	m->has_8bit = r.lines.has_8bit;
	header_collector_fini(&r.collector);
	buf_fini(&out);
}
