/* report.c - delivery status notifications: RFC 6522 (the container), RFC 3464 (the machine's part), RFC 6533 (UTF-8
 * addresses).
 *
 * Remote texts, addresses and the original's fields are foreign bytes: each goes through text_clean() before it is part of a
 * line, and the boundary is random, so that nothing in them can end a part. */
#include "report.h"

#include "encode.h"
#include "lines.h"
#include "status.h"
#include "text.h"

#include "posthouse/address.h"
#include "posthouse/id.h"
#include "posthouse/utf8.h"

#define HEADER_RETURNED (48 * 1024) /* bytes of the original header that are passed on: whole fields */

/* RFC 3464 2.3.3: the action, and the class of status codes that goes with it. */
static const struct {
	const char *subject, *action;
	char class;
} kinds[] = {
	[REPORT_FAILURE] = { "Your message could not be delivered", "failed", '5' },
	[REPORT_DELAY] = { "Your message has not been delivered yet", "delayed", '4' },
	[REPORT_SUCCESS] = { "Your message was delivered", "delivered", '2' },
	[REPORT_RELAYED] = { "Your message was handed on", "relayed", '2' },
};

/* "rfc822;address" or, beyond ASCII, "utf-8;address" (RFC 6533 3). */
static void put_address(struct report *r, const char *field, struct str address)
{
	address = report_shown_address(r, address);
	lines_printf(&r->out, "%s: %s; %.*s", field, str_is_ascii(address) ? "rfc822" : "utf-8", STR_ARG(address));
}

/* RFC 3464 2.3.1: the type and the address as the sender gave them, out of their xtext. RFC 6533 3: "\x{F6}" in one of type
 * "utf-8" can stay so, and must where all is ASCII. */
static void put_original_recipient(struct report *r, struct str orcpt)
{
	struct str text = xtext_decode(r->arena, orcpt);
	if (r->utf8_addresses && str_istarts(text, S("utf-8;")))
		text = text_from_unitext(r->arena, text);
	text = text_clean(r->arena, text, ADDRESS_SHOWN);
	size_t semicolon = str_find(text, ';');

	if (semicolon == text.n || (!r->utf8_addresses && !str_is_ascii(text)))
		return;
	lines_printf(&r->out, "Original-Recipient: %.*s; %.*s", STR_ARG(str_trim(str_head(text, semicolon))),
		     STR_ARG(str_trim(str_from(text, semicolon + 1))));
}

/* RFC 3464 2.3: the group of fields of one recipient. */
static void write_recipient_fields(struct report *r, const struct report_recipient *rcpt)
{
	struct str remote = text_clean_ascii(r->arena, rcpt->remote, ADDRESS_SHOWN);
	struct str said = report_answer(r, &rcpt->verdict, true);

	lines_printf(&r->out, "%s", "");
	if (rcpt->orcpt.n > 0)
		put_original_recipient(r, rcpt->orcpt);
	put_address(r, "Final-Recipient", rcpt->address);
	lines_printf(&r->out, "Action: %s", kinds[r->in->kind].action);
	lines_printf(&r->out, "Status: %.*s", STR_ARG(status_code(r->arena, &rcpt->verdict, kinds[r->in->kind].class)));
	if (remote.n > 0)
		lines_printf(&r->out, "Remote-MTA: dns; %.*s", STR_ARG(str_head(remote, str_find(remote, ' '))));
	if (said.n > 0)
		lines_wrap(&r->out, remote.n > 0 ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-posthouse; ", "    ", said);
	if (rcpt->last_at > 0)
		lines_printf(&r->out, "Last-Attempt-Date: %.*s", STR_ARG(mail_date(r->arena, rcpt->last_at)));
	if (r->in->kind == REPORT_DELAY && r->in->will_retry_until > 0)
		lines_printf(&r->out, "Will-Retry-Until: %.*s", STR_ARG(mail_date(r->arena, r->in->will_retry_until)));
}

/* The part for programs. */
static void write_status(struct report *r)
{
	const struct report_input *in = r->in;
	char id[ID_TEXT_MAX];

	report_begin_part(r, r->utf8_addresses ? "message/global-delivery-status" : "message/delivery-status", "For programs",
			  r->utf8_addresses);
	if (in->envid.n > 0)
		lines_printf(&r->out, "Original-Envelope-Id: %.*s",
			     STR_ARG(text_clean_ascii(r->arena, xtext_decode(r->arena, in->envid), ADDRESS_SHOWN)));
	lines_printf(&r->out, "Reporting-MTA: dns; %.*s", STR_ARG(in->hostname));
	lines_printf(&r->out, "Arrival-Date: %.*s", STR_ARG(mail_date(r->arena, in->original_at)));
	lines_printf(&r->out, "X-Posthouse-Id: %s", id_format(in->original_id, id));
	for (size_t i = 0; i < in->n; i++)
		write_recipient_fields(r, &in->recipients[i]);
	lines_printf(&r->out, "%s", "");
}

/* The front of the original header that is returned: whole fields, within the bound. */
static struct str returned_header(struct report *r)
{
	const struct header *h = &r->original;
	size_t n = 0;

	for (size_t i = 0; i < h->n && n + h->fields[i].whole.n <= HEADER_RETURNED; i++)
		n += h->fields[i].whole.n;
	return str_head(r->in->original_header, n);
}

/* Whether a text can be a part as it is: lines that all servers take (RFC 5321 4.5.3.1.6), no byte that only BINARYMIME can
 * have. */
static bool is_returnable(struct str text)
{
	struct str line;

	while (str_split(&text, '\n', &line)) {
		bool ends = text.p != NULL;
		if (ends && !str_ends(line, S("\r")))
			return false;
		line.n -= ends;
		if (line.n > TEXT_LINE_MAX || str_find(line, '\r') < line.n || str_find(line, '\0') < line.n)
			return false;
	}
	return true;
}

/* The last part: the whole message, or its header. RFC 3461 4.3: the whole one only with a failure. */
static void choose_returned(struct report *r)
{
	const struct report_input *in = r->in;

	/* A text that is no header section (it was checked on arrival) is left out of the report, which is still sent. */
	bool good = header_parse(r->arena, in->original_header, &r->original).class == OK;
	if (!good)
		r->original.n = 0;
	r->whole = in->return_full && in->kind == REPORT_FAILURE && good && is_returnable(in->original_header) &&
		   is_returnable(in->original_body);
	r->returned = r->whole ? in->original_header : returned_header(r);
	r->returned_8bit = !str_is_ascii(r->returned) || (r->whole && !str_is_ascii(in->original_body));
}

static void write_returned(struct report *r)
{
	bool utf8_header = !str_is_ascii(r->returned) && utf8_valid(r->returned); /* RFC 6533 4 */

	if (r->whole) {
		report_begin_part(r, utf8_header ? "message/global" : "message/rfc822", "Your message", r->returned_8bit);
		lines_put(&r->out, r->returned);
		lines_printf(&r->out, "%s", "");
		lines_put(&r->out, r->in->original_body);
	} else {
		report_begin_part(r, utf8_header ? "message/global-headers" : "text/rfc822-headers", "Your message's header",
				  r->returned_8bit);
		lines_put(&r->out, r->returned);
	}
	lines_printf(&r->out, "\r\n--%.*s--", STR_ARG(r->boundary));
}

/* The original's Message-ID, if it can be used in a field of the report; RFC 3834 3.1.5: In-Reply-To. */
static struct str answered_id(struct report *r)
{
	struct str id = report_original_line(r, S("Message-ID"), 250);

	if (id.n < 3 || id.p[0] != '<' || str_find(id, '>') != id.n - 1 || str_find(id, ' ') < id.n || !str_is_ascii(id))
		return S("");
	return id;
}

static struct str write_header(struct report *r, bool is_8bit_body)
{
	const struct report_input *in = r->in;
	struct str answered = answered_id(r);
	char id[ID_TEXT_MAX];

	lines_printf(&r->out, "From: Mail Delivery System <%.*s>", STR_ARG(report_shown_address(r, in->from)));
	lines_printf(&r->out, "To: <%.*s>", STR_ARG(report_shown_address(r, in->to)));
	lines_printf(&r->out, "Subject: %s", kinds[in->kind].subject);
	lines_printf(&r->out, "Date: %.*s", STR_ARG(mail_date(r->arena, in->now_ms)));
	lines_printf(&r->out, "Message-ID: <%s@%.*s>", id_format(in->id, id), STR_ARG(in->hostname));
	if (answered.n > 0) {
		lines_printf(&r->out, "In-Reply-To: %.*s", STR_ARG(answered));
		lines_printf(&r->out, "References: %.*s", STR_ARG(answered));
	}
	lines_printf(&r->out, "Auto-Submitted: auto-replied");
	lines_printf(&r->out, "MIME-Version: 1.0");
	lines_printf(&r->out, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%.*s\"",
		     r->utf8_addresses ? "global-delivery-status" : "delivery-status", STR_ARG(r->boundary));
	lines_printf(&r->out, "Content-Transfer-Encoding: %s", is_8bit_body ? "8bit" : "7bit");
	struct str section = arena_str(r->arena, buf_view(&r->out));
	buf_clear(&r->out);
	return section;
}

/* Whether an address needs RFC 6533's forms. */
static bool any_utf8_address(const struct report_input *in)
{
	for (size_t i = 0; i < in->n; i++) {
		if (!str_is_ascii(in->recipients[i].address))
			return true;
	}
	return false;
}

/* Whether the part for people has anything beyond ASCII. */
static bool words_are_8bit(struct report *r)
{
	const struct report_input *in = r->in;
	bool ascii = str_is_ascii(report_original_line(r, S("Subject"), SUBJECT_SHOWN));

	for (size_t i = 0; i < in->n; i++) {
		ascii = ascii && str_is_ascii(in->recipients[i].address) && str_is_ascii(in->recipients[i].remote) &&
			str_is_ascii(in->recipients[i].verdict.text);
	}
	return !ascii;
}

void mail_report(struct arena *a, const struct report_input *in, struct str *header_out, struct str *body_out, bool *is_8bit_out)
{
	struct report r = { .arena = a, .in = in, .utf8_addresses = any_utf8_address(in) };

	choose_returned(&r);
	bool words_8bit = words_are_8bit(&r);
	bool body_8bit = words_8bit || r.returned_8bit || r.utf8_addresses;
	buf_init(&r.out, SIZE_MAX / 2);
	/* RFC 2046 5.1.1: a boundary has at most 70 characters. */
	r.boundary = arena_printf(a, "=_posthouse_%.*s", STR_ARG(str_head(in->boundary_seed, 50)));
	*header_out = write_header(&r, body_8bit);
	report_write_words(&r, words_8bit);
	write_status(&r);
	write_returned(&r);
	*body_out = arena_str(a, buf_view(&r.out));
	*is_8bit_out = body_8bit || !str_is_ascii(*header_out);
	buf_fini(&r.out);
}
