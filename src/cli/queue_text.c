/* queue_text.c - `posthouse queue body` and `posthouse queue export`: the text of messages, in pages of the relay. */
#include "queue.h"

#include "posthouse/file.h"
#include "posthouse/id.h"
#include "posthouse/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define PAGE 200

enum form { FORM_BODY, FORM_EXPORT };

/* ---- body ---- */

/* A terminal gets lines without control characters; anything else each byte as it is. */
static void print_text(struct session *s, struct str text, struct str *kept)
{
	struct str line;

	if (!isatty(STDOUT_FILENO)) {
		fwrite(text.p, 1, text.n, stdout);
		return;
	}
	text = kept->n ? arena_printf(&s->arena, "%.*s%.*s", STR_ARG(*kept), STR_ARG(text)) : text;
	while (str_find(text, '\n') < text.n && str_split(&text, '\n', &line))
		printf("%.*s\n", STR_ARG(utf8_shown(&s->arena, str_ends(line, S("\r")) ? str_head(line, line.n - 1) : line)));
	*kept = arena_str(&s->arena, text); /* a line that goes on in the next page */
}

int queue_body(struct session *s, uint64_t id)
{
	struct msg_queue_text ask = { .id = id, .form = FORM_BODY };
	struct str kept = S("");

	do {
		const struct msg_queue_text_is *m = &session_ask(s, MSG_queue_text, &ask, MSG_queue_text_is)->queue_text_is;

		print_text(s, m->text, &kept);
		ask.cursor = m->cursor;
		if (kept.n == 0)
			arena_reset(&s->arena);
	} while (ask.cursor);
	if (kept.n)
		printf("%.*s\n", STR_ARG(utf8_shown(&s->arena, kept)));
	return EX_OK;
}

/* ---- export ---- */

/* Write one exported message. False: it is finished meanwhile, or cannot be read; *why_out says so. */
static bool write_message(struct session *s, uint64_t id, FILE *out, struct verdict *why_out)
{
	struct msg_queue_text ask = { .id = id, .form = FORM_EXPORT };

	do {
		const struct msg_queue_text_is *m = &session_call(s, MSG_queue_text, &ask, MSG_queue_text_is)->queue_text_is;

		*why_out = m->verdict;
		if (m->verdict.class != OK)
			return false;
		fwrite(m->text.p, 1, m->text.n, out);
		ask.cursor = m->cursor;
		if (ask.cursor)
			arena_reset(&s->arena);
	} while (ask.cursor);
	return true;
}

/* The file gets its name when it is whole and on the disk; one of this name is replaced: it is the same message. */
static bool write_file(struct session *s, uint64_t id, const char *directory, struct verdict *why_out)
{
	char name[ID_TEXT_MAX], path[4096], fresh[4096 + 8];
	FILE *out;
	bool read;
	int fd, error;

	if (snprintf(path, sizeof path, "%s/%s.eml", directory, id_format(id, name)) >= (int)sizeof path)
		die(EX_USAGE, "%s: the name is too long", directory);
	(void)snprintf(fresh, sizeof fresh, "%s.new", path);
	fd = file_put_begin(AT_FDCWD, fresh, 0600);
	out = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
	if (!out)
		die(EX_CANTCREAT, "%s: %s", fresh, strerror(errno));
	read = write_message(s, id, out, why_out);
	error = file_put_end(AT_FDCWD, fresh, path, fd, fclose(out) == 0 && read);
	if (read && error)
		die(EX_IOERR, "%s: %s", path, strerror(error));
	return read;
}

int queue_export(struct session *s, const struct selection *which, const char *directory, bool json)
{
	struct arena pages = { 0 };
	size_t n = 0, done = 0, failed = 0;
	uint64_t *ids = queue_ids(s, &pages, which, &n);
	char name[ID_TEXT_MAX];

	for (size_t i = 0; i < n; i++) {
		struct verdict why;
		bool good = directory ? write_file(s, ids[i], directory, &why) : write_message(s, ids[i], stdout, &why);

		done += good;
		failed += !good;
		if (!good)
			fprintf(stderr, "posthouse: %s: %.*s\n", id_format(ids[i], name),
				STR_ARG(utf8_shown(&s->arena, why.text)));
		else if (json && directory)
			json_print_document("exported", json_pack("{s:s, s:o}", "id", id_format(ids[i], name), "directory",
								  json_text(str_of(directory))));
		arena_reset(&s->arena);
	}
	arena_fini(&pages);
	if (json && directory)
		json_end(done, failed > 0);
	else
		fprintf(stderr, "%zu message%s exported%s%s; they wait here as before\n", done, done == 1 ? "" : "s",
			directory ? " to " : "", directory ? directory : "");
	if (n == 0)
		return EX_DATAERR;
	return failed > 0 ? EX_TEMPFAIL : EX_OK;
}
