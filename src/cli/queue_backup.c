/* queue_backup.c - `posthouse queue backup`: the relay copies its queue, and the command waits. */
#include "queue.h"

#include "posthouse/log.h"

#include <stdio.h>
#include <sysexits.h>

static void print(struct session *s, const struct msg_queue_backed_up *m)
{
	printf("%.*s\n", STR_ARG(utf8_shown(&s->arena, m->directory)));
	printf("%llu message%s that wait%s, %llu file%s of large messages, %llu bytes in all\n", (unsigned long long)m->messages,
	       m->messages == 1 ? "" : "s", m->messages == 1 ? "s" : "", (unsigned long long)m->files, m->files == 1 ? "" : "s",
	       (unsigned long long)m->bytes);
	printf("It is on the same disk: copy it to another one. How to restore it: RESTORE in posthouse-operation(7).\n");
}

int queue_backup(struct session *s, const char *name, bool json)
{
	const struct msg_queue_backup ask = { .name = str_of(name) };
	const struct msg_queue_backed_up *m = &session_ask(s, MSG_queue_backup, &ask, MSG_queue_backed_up)->queue_backed_up;

	if (json)
		json_print_document("backup", json_pack("{s:o, s:I, s:I, s:I, s:I}", "directory", json_text(m->directory),
							"messages", (json_int_t)m->messages, "files", (json_int_t)m->files,
							"missing", (json_int_t)m->missing, "bytes", (json_int_t)m->bytes));
	else
		print(s, m);
	if (m->missing > 0)
		fprintf(stderr, "posthouse: the queue has lost the files of %llu large messages, so they are not in the copy\n",
			(unsigned long long)m->missing);
	return EX_OK;
}
