/* report_words.c - the part of a report for people: what happened, for which recipient, the server's answer, and what to do. */
#include "report.h"

#include "lines.h"
#include "status.h"
#include "text.h"

#include "posthouse/id.h"

/* What happened, in general; for one recipient and for several. */
static struct str summary(struct report *r)
{
	const struct report_input *in = r->in;
	const char *where = in->n == 1 ? "the address below" : "the addresses below";

	switch (in->kind) {
	case REPORT_DELAY: break;
	case REPORT_SUCCESS: return arena_printf(r->arena, "Your message was delivered to %s.", where);
	case REPORT_RELAYED:
		return arena_printf(
			r->arena,
			"Your message was handed on to the mail server for %s. That server sends no confirmations, so it is "
			"not known here when the message reaches the mailbox. If it fails there, you should be told.",
			where);
	case REPORT_FAILURE:
		return arena_printf(r->arena, "Your message could not be delivered to %s. It will not be tried again.", where);
	}
	struct str until = in->will_retry_until > 0 ? mail_date(r->arena, in->will_retry_until) : S("");
	return arena_printf(
		r->arena,
		"Your message could not be delivered to %s yet. It is still being tried%s%.*s. You need to do nothing, and "
		"need not send it again. If it cannot be delivered in the end, you will be told.",
		where, until.n > 0 ? ", until " : "", STR_ARG(until));
}

static struct str meaning(struct report *r, const struct report_recipient *rcpt)
{
	const struct verdict *v = &rcpt->verdict;
	bool is_over = r->in->kind == REPORT_FAILURE && v->class == TEMP;

	if (rcpt->advice.n > 0 && r->in->kind <= REPORT_DELAY)
		return arena_printf(r->arena, "%.*s%s", STR_ARG(rcpt->advice),
				    is_over ? " It was tried again and again, and the time for that is over." : "");
	switch (r->in->kind) {
	case REPORT_FAILURE: return status_failed(r->arena, v);
	case REPORT_DELAY: return status_waiting(v);
	case REPORT_SUCCESS: return S("It was delivered.");
	case REPORT_RELAYED: break;
	}
	return S("It was handed on.");
}

/* The text about one recipient. */
static void explain_recipient(struct report *r, const struct report_recipient *rcpt)
{
	struct str by = text_clean(r->arena, rcpt->remote, ADDRESS_SHOWN);
	struct str said = report_answer(r, &rcpt->verdict, false);

	lines_printf(&r->out, "%s", "");
	lines_wrap(&r->out, "    ", "    ", report_shown_address(r, rcpt->address));
	lines_wrap(&r->out, "        ", "        ", meaning(r, rcpt));
	if (said.n == 0)
		return;
	if (by.n > 0)
		said = arena_printf(r->arena, "The server %.*s answered: %.*s", STR_ARG(by), STR_ARG(said));
	else
		said = arena_printf(r->arena, "The reason: %.*s", STR_ARG(said));
	lines_wrap(&r->out, "        ", "        ", said);
}

static struct str about_other_parts(const struct report *r)
{
	if (r->whole)
		return S(REPORT_OTHER_PARTS " The last one is your message.");
	if (r->returned.n < r->in->original_header.n)
		return S(REPORT_OTHER_PARTS " The last one is the beginning of your message's header.");
	return S(REPORT_OTHER_PARTS " The last one is your message's header.");
}

void report_write_words(struct report *r, bool is_8bit_part)
{
	const struct report_input *in = r->in;
	struct str subject = report_original_line(r, S("Subject"), SUBJECT_SHOWN);
	char id[ID_TEXT_MAX];

	report_begin_part(r, is_8bit_part ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", "What happened",
			  is_8bit_part);
	lines_wrap(&r->out, "", "", summary(r));
	lines_printf(&r->out, "%s", "");
	if (subject.n > 0)
		lines_wrap(&r->out, "    Subject: ", "        ", subject);
	lines_printf(&r->out, "    Sent: %.*s", STR_ARG(mail_date(r->arena, in->original_at)));
	for (size_t i = 0; i < in->n; i++)
		explain_recipient(r, &in->recipients[i]);
	lines_printf(&r->out, "%s", "");
	lines_wrap(&r->out, "", "", S("This report says nothing about other recipients of the message."));
	lines_printf(&r->out, "%s", "");
	lines_wrap(
		&r->out, "", "",
		arena_printf(r->arena,
			     "This report was written by the mail relay %.*s, which had taken the message from you. If you ask "
			     "your administrator about it, name the message %s.",
			     STR_ARG(in->hostname), id_format(in->original_id, id)));
	lines_printf(&r->out, "%s", "");
	lines_wrap(&r->out, "", "", about_other_parts(r));
	lines_printf(&r->out, "%s", "");
}
