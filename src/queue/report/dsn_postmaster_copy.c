/* dsn_postmaster_copy.c - the message to the postmaster about failed mail without a sender that a DSN could go to. */
#include "report/dsn_text.h"

#include "common/format.h"

#include "posthouse/buf.h"
#include "posthouse/id.h"
#include "posthouse/ipc.h"
#include "posthouse/mail.h"

#include <assert.h>

/* Bytes of an address or a reply. Cleaning can make three times as many of them, and the whole message must fit into a
 * datagram. */
#define SHOWN_MAX      250
#define RECIPIENTS_MAX 15

/* A text from outside as part of a line. */
static struct str line(struct arena *a, struct str s)
{
	return format_line(a, str_head(s, SHOWN_MAX));
}

/* One recipient, and its last reply. */
static void add_recipient(struct arena *a, struct buf *b, const struct failed_recipient *f)
{
	buf_printf(b, "\n    %.*s\n", STR_ARG(line(a, f->address)));
	if (f->remote.n > 0)
		buf_printf(b, "        The server %.*s answered:\n", STR_ARG(line(a, f->remote)));
	buf_printf(b, "        ");
	if (f->verdict.code > 0)
		buf_printf(b, "%u ", f->verdict.code);
	buf_printf(b, "%.*s %.*s\n", STR_ARG(line(a, f->verdict.enhanced)), STR_ARG(line(a, f->verdict.text)));
}

/* What happened to which message. */
static void add_words(struct arena *a, struct buf *b, const struct unreported *parent)
{
	char id[ID_TEXT_MAX];

	buf_printf(b, "%s",
		   parent->kind == KIND_MAIL
			   ? "A message without a return address could not be delivered, so that nobody but you can be told.\n"
			   : "A report that the relay had written to a sender could not be delivered: that person does not "
			     "know what became of the mail. A wrong sender address is the usual reason.\n");
	buf_printf(b, "\n    Message: %s\n", id_format(parent->id, id));
	if (parent->envelope.login.n > 0)
		buf_printf(b, "    Login: %.*s\n", STR_ARG(line(a, parent->envelope.login)));
	buf_printf(b, "    Date: %.*s\n", STR_ARG(mail_date(a, parent->received_at)));
	for (size_t i = 0; i < parent->failed_n && i < RECIPIENTS_MAX; i++)
		add_recipient(a, b, &parent->failed[i]);
	if (parent->failed_n > RECIPIENTS_MAX)
		buf_printf(b, "\n    and %zu more\n", parent->failed_n - RECIPIENTS_MAX);
	buf_printf(b, "\n\"posthouse trace %s\" shows all that happened to it.\n", id_format(parent->id, id));
}

struct report_text postmaster_copy_write(struct arena *a, struct str hostname, struct str from, uint64_t id, uint64_t now,
					 struct str to, const struct unreported *parent)
{
	struct report_text text = { .covered = parent->failed_n };
	struct notification_input in = {
		.hostname = hostname,
		.from = from,
		.id = id,
		.now_ms = now,
		.to = to,
		.subject = S("Mail could not be delivered, and there is nobody else to tell"),
	};
	struct buf words;

	buf_init(&words, INLINE_MAX);
	add_words(a, &words, parent);
	in.words = buf_view(&words);
	mail_notification(a, &in, &text.header, &text.body, &text.is_8bit);
	buf_fini(&words);
	assert(text.header.n + 2 + text.body.n <= INLINE_MAX);
	return text;
}
