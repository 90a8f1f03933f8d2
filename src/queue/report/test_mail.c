/* test_mail.c - see test_mail.h. */
#include "report/test_mail.h"

#include "report/asked_mail.h"
#include "report/report.h"

static struct str words_of(struct arena *a, struct str hostname, struct str from)
{
	return arena_printf(
		a,
		"This is a test. The administrator of the mail relay %.*s has asked for it with\n\n"
		"    posthouse doctor --send\n\n"
		"to see whether its mail arrives, and how. Nobody has to answer.\n\n"
		"Is it in the folder for spam? What the mail server that took it thinks of the sender %.*s is in its "
		"header: have your mail program show the source of this message (\"show original\", \"view source\"), "
		"save all of it in a file, and give the file to the relay:\n\n"
		"    posthouse doctor --headers FILE\n",
		STR_ARG(hostname), STR_ARG(from));
}

void test_mail_send(struct reports *rs, struct str recipient, void (*done)(void *ctx, struct verdict v, uint64_t id), void *ctx)
{
	const struct config *c = role_config(rs->role);
	struct own_envelope envelope = { .kind = KIND_NOTICE, .recipient = recipient };
	struct asked_mail *t = asked_mail_begin(rs, &envelope, done, ctx);
	struct notification_input in = { .hostname = c->hostname };
	struct report_text text = { .covered = 0 };

	if (!t)
		return;
	in.from = t->mail.author.from;
	in.to = t->mail.recipient.address;
	in.id = t->mail.m.id;
	in.now_ms = t->mail.m.received_at;
	in.subject = arena_printf(&t->arena, "Test message of %.*s", STR_ARG(c->hostname));
	in.words = words_of(&t->arena, c->hostname, in.from);
	mail_notification(&t->arena, &in, &text.header, &text.body, &text.is_8bit);
	asked_mail_send(t, &text);
}
