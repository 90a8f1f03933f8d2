/* asked_mail.c - see asked_mail.h. */
#include "report/asked_mail.h"

#include "common/event_fields.h"
#include "report/report.h"

#include <stdlib.h>

static void end(struct asked_mail *t, struct verdict v)
{
	struct reports *rs = t->reports;

	list_remove(&t->in_reports);
	rs->asked_n--;
	t->done(t->ctx, v, t->mail.m.id);
	own_message_end(&t->mail);
	arena_fini(&t->arena);
	free(t);
	reports_tell_idle(rs);
}

static void on_stored(void *ctx, struct verdict v)
{
	struct asked_mail *t = ctx;
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
	struct asked_mail *t = ctx;
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

struct asked_mail *asked_mail_begin(struct reports *rs, const struct own_envelope *e,
				    void (*done)(void *ctx, struct verdict v, uint64_t id), void *ctx)
{
	struct asked_mail *t;

	if (rs->asked_n == ASKED_MAILS_MAX || rs->stopping || !reports_may_store(rs)) {
		done(ctx, temp(451, S("4.3.2"), S("another such message is being written, or the queue ends: try again")), 0);
		return NULL;
	}
	t = NEW(struct asked_mail);
	t->reports = rs;
	t->done = done;
	t->ctx = ctx;
	list_append(&rs->asked, &t->in_reports);
	rs->asked_n++;
	own_message_begin(&t->mail, rs, &t->arena, e);
	return t;
}

void asked_mail_send(struct asked_mail *t, const struct report_text *text)
{
	own_message_sign(&t->mail, text, on_signed, t);
}

bool asked_mails_are_busy(const struct reports *rs)
{
	LIST_EACH_OF (struct asked_mail, t, &rs->asked, in_reports)
		if (!own_message_waits_for_vault(&t->mail))
			return true;
	return false;
}

void asked_mails_cancel(struct reports *rs)
{
	LIST_EACH_OF (struct asked_mail, t, &rs->asked, in_reports)
		if (own_message_cancel(&t->mail))
			end(t, temp(451, S("4.3.2"), S("the queue ends")));
}
