/* sendmail_list.c - mailq(1): what waits in the queue, and in the drop directory, in the form that people and scripts know. */
#include "sendmail.h"

#include "cli.h"

#include "posthouse/id.h"
#include "posthouse/local.h"
#include "posthouse/log.h"
#include "posthouse/policy.h"
#include "posthouse/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define PAGE 200

struct listing {
	struct arena arena; /* of one message */
	uint64_t n, bytes;
	char mark; /* of files that were dropped, and why they are there */
	struct str why;
};

static void print_message(struct listing *l, const char *id, char mark, uint64_t size, uint64_t at_ms, struct str sender)
{
	time_t at = (time_t)(at_ms / 1000);
	char when[64];
	struct tm tm;

	if (l->n == 0)
		printf("-Queue ID-     --Size-- ----Arrival Time---- -Sender/Recipient-------\n");
	localtime_r(&at, &tm);
	(void)strftime(when, sizeof when, "%a %b %e %H:%M:%S", &tm);
	printf("%s%c %8llu %s  %.*s\n", id, mark, (unsigned long long)size, when,
	       STR_ARG(utf8_shown(&l->arena, sender.n > 0 ? sender : S("MAILER-DAEMON"))));
	l->n++;
	l->bytes += size;
}

static void print_reason(struct listing *l, struct str reason)
{
	if (reason.n > 0)
		printf("(%.*s)\n", STR_ARG(utf8_shown(&l->arena, reason)));
}

static void print_recipient(struct listing *l, struct str address)
{
	printf("%44s%.*s\n", "", STR_ARG(utf8_shown(&l->arena, address)));
}

/* ---- the queue ---- */

static void print_recipients(struct session *s, struct listing *l, const struct rec_queue_row *r)
{
	struct msg_queue_show ask = { .id = r->id };

	if (r->open < 2) {
		print_recipient(l, r->recipient);
		return;
	}
	do {
		const struct msg_queue_shown *m = &session_call(s, MSG_queue_show, &ask, MSG_queue_shown)->queue_shown;

		for (size_t i = 0; m->verdict.class == OK && i < m->rows.n; i++)
			if (m->rows.at[i].state == RCPT_WAITING || m->rows.at[i].state == RCPT_HELD)
				print_recipient(l, m->rows.at[i].address);
		ask.cursor = m->verdict.class == OK ? m->cursor : 0;
	} while (ask.cursor);
}

static void print_row(struct session *s, struct listing *l, const struct rec_queue_row *r)
{
	char id[ID_TEXT_MAX];

	print_message(l, id_format(r->id, id), r->held.n > 0 ? '!' : ' ', r->size, r->received_at, r->sender);
	print_reason(l, r->held.n > 0 ? r->held : r->reply);
	print_recipients(s, l, r);
	printf("\n");
	arena_reset(&l->arena);
}

static void list_queue(struct session *s, struct listing *l)
{
	struct msg_queue_page page = { .max = PAGE };

	do {
		const struct msg_queue_rows *rows = &session_ask(s, MSG_queue_page, &page, MSG_queue_rows)->queue_rows;
		size_t n = rows->rows.n;

		page.cursor = rows->cursor;
		for (size_t i = 0; i < n; i++)
			print_row(s, l, &rows->rows.at[i]);
		arena_reset(&s->arena);
	} while (page.cursor);
}

/* ---- the drop directory ---- */

static struct str owner_name(struct arena *a, uid_t uid)
{
	const struct passwd *who = getpwuid(uid);

	return who ? arena_str(a, str_of(who->pw_name)) : arena_printf(a, "%u", (unsigned)uid);
}

static void print_file(struct listing *l, int fd, const struct stat *st, const char *name)
{
	char *head = arena_alloc(&l->arena, DROP_HEAD_MAX);
	ssize_t n = pread(fd, head, DROP_HEAD_MAX, 0);
	struct local_message m;
	struct str sender;
	size_t length;

	if (n < 0 || drop_head_read(&l->arena, str_make(head, (size_t)n), &m, &length).class != OK)
		return;
	sender = m.has_sender && !str_eq(m.sender, S(LOCAL_SELF)) ? m.sender : owner_name(&l->arena, st->st_uid);
	print_message(l, arena_cstr(&l->arena, utf8_shown(&l->arena, str_head(str_of(name), 13))), l->mark,
		      (uint64_t)st->st_size - length, (uint64_t)st->st_mtime * 1000, sender);
	print_reason(l, l->why);
	for (size_t i = 0; i < m.recipients_n; i++)
		print_recipient(l, m.recipients[i].address);
	printf("\n");
}

/* Only who runs the relay, and root, can look into it. */
static void list_files(struct listing *l, const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *e;

	while (directory && (e = readdir(directory))) {
		int fd = e->d_name[0] == '.'
				 ? -1
				 : openat(dirfd(directory), e->d_name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
			print_file(l, fd, &st, e->d_name);
		arena_reset(&l->arena);
		if (fd >= 0)
			close(fd);
	}
	if (directory)
		closedir(directory);
}

static void list_drop(struct listing *l, const char *path)
{
	static const struct {
		const char *place;
		char mark;
		struct str why;
	} places[] = {
		{ "", '+', S("waits until the relay takes it from the drop directory") },
		{ "/taken", '+', S("waits until the relay has stored it") },
		{ "/held", '!',
		  S("was refused, and no report could be sent: it stays in the subdirectory held of the drop directory") },
	};

	for (size_t i = 0; *path && i < sizeof places / sizeof places[0]; i++) {
		l->mark = places[i].mark;
		l->why = places[i].why;
		list_files(l, arena_cstr(&l->arena, arena_printf(&l->arena, "%s%s", path, places[i].place)));
	}
}

/* ---- the whole ---- */

/* Is there a relay that lets us ask? Else the exit code, and the reason is told. */
static int open_queue(struct session *s, const struct outgoing *m)
{
	struct config_faults faults;
	struct config *c = config_load(m->config_path, &faults);
	const char *why;
	int error;

	*s = (struct session){ 0 };
	errno = ENOENT;
	if (c->control.n > 0)
		s->control = control_open(c->control, 0, &why);
	error = s->control ? 0 : errno;
	if (error == EACCES)
		fprintf(stderr,
			"posthouse: the queue is shown to root, to the relay's own user and to the group posthouse-admin. What "
			"has become of your mail they see by `posthouse find --user LOGIN`\n");
	else if (error)
		fprintf(stderr, "posthouse: no relay is running here (%s): what waits in its queue cannot be shown\n",
			c->control.n > 0 ? why : m->config_path);
	config_free(c);
	return error == 0 ? EX_OK : error == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
}

int sendmail_list(struct arena *a, const struct outgoing *m)
{
	struct listing l = { 0 };
	struct session s;
	int code = open_queue(&s, m);

	if (code == EX_OK) {
		list_queue(&s, &l);
		session_close(&s);
	}
	if (code != EX_NOPERM)
		list_drop(&l, send_places(a, m).drop);
	if (l.n > 0)
		printf("-- %llu Kbytes in %llu Request%s.\n", (unsigned long long)(l.bytes + 1023) / 1024,
		       (unsigned long long)l.n, l.n == 1 ? "" : "s");
	else if (code == EX_OK)
		printf("Mail queue is empty\n");
	arena_fini(&l.arena);
	return code;
}
