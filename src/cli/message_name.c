/* message_name.c - a message as people name it: by the id of the 250 reply, or by its Message-ID. */
#include "cli.h"

#include "posthouse/id.h"
#include "posthouse/log.h"

#include <sysexits.h>

struct message_name message_name_read(const char *text)
{
	struct message_name m = { 0 };

	if (text[0] == '<' || strchr(text, '@')) {
		m.message_id = str_of(text);
		return m;
	}
	if (!id_parse(str_of(text), &m.id))
		die(EX_USAGE, "\"%s\" is neither an id (13 letters and digits, as in the 250 reply) nor a Message-ID", text);
	return m;
}

size_t session_messages(struct session *s, const struct message_name *m, uint64_t ids[MESSAGES_NAMED_MAX])
{
	struct msg_queue_page ask = { .message_id = m->message_id, .max = MESSAGES_NAMED_MAX };
	size_t n = 0;

	if (m->message_id.n == 0) {
		ids[0] = m->id;
		return 1;
	}
	do {
		const struct msg_queue_rows *rows = &session_ask(s, MSG_queue_page, &ask, MSG_queue_rows)->queue_rows;

		for (size_t i = 0; i < rows->rows.n && n < MESSAGES_NAMED_MAX; i++)
			ids[n++] = rows->rows.at[i].id;
		ask.cursor = rows->cursor;
	} while (ask.cursor && n < MESSAGES_NAMED_MAX);
	if (n == 0)
		die(EX_DATAERR, "there is no message with the Message-ID %.*s", STR_ARG(utf8_shown(&s->arena, m->message_id)));
	return n;
}
