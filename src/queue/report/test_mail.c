/* test_mail.c - see test_mail.h. */
#include "report/test_mail.h"

#include "common/event_fields.h"
#include "report/own_message.h"
#include "report/report.h"

#include <stdlib.h>

struct test_mail {
	struct reports *reports;
	struct arena arena;
	struct own_message mail;
	void (*done)(void *ctx, struct verdict v, uint64_t id);
	void *ctx;
};

static void end(struct test_mail *t, struct verdict v)
{
	struct reports *rs = t->reports;

	rs->test_mail = NULL;
	t->done(t->ctx, v, t->mail.m.id);
	own_message_end(&t->mail);
	arena_fini(&t->arena);
	free(t);
	reports_tell_idle(rs);
}

static void on_stored(void *ctx, struct verdict v)
{
	struct test_mail *t = ctx;
	struct reports *rs = t->reports;

	if (v.class == OK) {
		log_info(&(struct log){ .message = t->mail.m.id }, "notice.queued", kv("to", t->mail.recipient.address),
			 kv("subject", t->mail.m.envelope.subject));
		rs->observer->message_stored(rs->observer->ctx);
	}
	end(t, v);
}

static void on_signed(void *ctx, struct verdict v)
{
	struct test_mail *t = ctx;
	struct accepted *m = &t->mail.m;

	if (v.class == OK && !reports_may_store(t->reports))
		v = temp(451, S("4.3.2"), S("the queue ends"));
	if (v.class != OK) {
		end(t, v);
		return;
	}
	m->event = FIELDS(&t->arena, kv("subject", m->envelope.subject), kv("size_bytes", m->size),
			  kv("sign_domain", m->envelope.sign_domain));
	store_accept(t->reports->store, m, on_stored, t);
}

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
	struct notification_input in = { .hostname = c->hostname };
	struct report_text text = { .covered = 0 };
	struct test_mail *t;

	if (rs->test_mail || rs->stopping || !reports_may_store(rs)) {
		done(ctx, temp(451, S("4.3.2"), S("another test message is being written, or the queue ends: try again")), 0);
		return;
	}
	t = rs->test_mail = NEW(struct test_mail);
	t->reports = rs;
	t->done = done;
	t->ctx = ctx;
	own_message_begin(&t->mail, rs, &t->arena, &(struct own_envelope){ .kind = KIND_NOTICE, .recipient = recipient });
	in.from = t->mail.author.from;
	in.to = t->mail.recipient.address;
	in.id = t->mail.m.id;
	in.now_ms = t->mail.m.received_at;
	in.subject = arena_printf(&t->arena, "Test message of %.*s", STR_ARG(c->hostname));
	in.words = words_of(&t->arena, c->hostname, in.from);
	mail_notification(&t->arena, &in, &text.header, &text.body, &text.is_8bit);
	own_message_sign(&t->mail, &text, on_signed, t);
}

bool test_mail_is_busy(const struct reports *rs)
{
	return rs->test_mail && !own_message_waits_for_vault(&rs->test_mail->mail);
}

void test_mail_cancel(struct reports *rs)
{
	if (rs->test_mail && own_message_cancel(&rs->test_mail->mail))
		end(rs->test_mail, temp(451, S("4.3.2"), S("the queue ends")));
}
