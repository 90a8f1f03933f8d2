/* report.c - delivery status notifications: RFC 6522 (the container), RFC 3464 (the machine's part), RFC 6533 (UTF-8 addresses).
 *
 * Remote texts, addresses and the original's fields are foreign bytes: each goes through text_clean() before it is part of a line, and
 * the boundary is random, so that nothing in them can end a part. */
#include "posthouse/id.h"
#include "posthouse/mail.h"
#include "status.h"
#include "text.h"

#include <assert.h>

#define TEXT_SHOWN      2000 /* bytes of a remote text that are passed on */
#define SUBJECT_SHOWN   200
#define ADDRESS_SHOWN   900 /* RFC 5322 2.1.1: a line has at most 998 */
#define WIDTH           72
#define HEADER_RETURNED (48 * 1024) /* bytes of the original header that are passed on: whole fields */

struct report {
	struct arena *arena;
	const struct report_input *in;
	struct buf out;
	struct str boundary;
	struct header original;
	bool utf8_addresses; /* the machine's part must be of the kind of RFC 6533 */
};

static void put(struct report *r, struct str s)
{
	bool fits = buf_add(&r->out, s);

	assert(fits); /* the bound is the address space: what goes in is bounded piece by piece */
}

static void __attribute__((format(printf, 2, 3))) put_line(struct report *r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	bool fits = buf_vprintf(&r->out, format, arguments);
	va_end(arguments);
	assert(fits);
	put(r, S("\r\n"));
}

/* Words in lines of at most WIDTH bytes, each line after `indent`; a word that is longer is divided only where it must be
 * (RFC 5322 2.1.1: 998 bytes). `first` is the indent of the first line. */
static void put_wrapped(struct report *r, const char *first, const char *indent, struct str words)
{
	struct str word;
	size_t column = strlen(first);

	put(r, str_of(first));
	for (bool begun = false; str_split(&words, ' ', &word); begun = true) {
		if (begun && column + 1 + word.n > WIDTH) {
			put(r, S("\r\n"));
			put(r, str_of(indent));
			column = strlen(indent);
		} else if (begun) {
			put(r, S(" "));
			column++;
		}
		for (size_t n; column + word.n > 900; word = str_from(word, n)) {
			for (n = 900 - column; n > 0 && ((unsigned char)word.p[n] & 0xc0) == 0x80;)
				n--; /* not within a character */
			put(r, str_head(word, n));
			put(r, S("\r\n"));
			put(r, str_of(indent));
			column = strlen(indent);
		}
		put(r, word);
		column += word.n;
	}
	put(r, S("\r\n"));
}

static struct str shown_address(struct report *r, struct str address)
{
	return text_clean(r->arena, address, ADDRESS_SHOWN);
}

/* "550 5.1.1 text" as one clean line. */
static struct str answer(struct report *r, const struct verdict *v, bool ascii)
{
	struct str text = ascii ? text_clean_ascii(r->arena, v->text, TEXT_SHOWN) : text_clean(r->arena, v->text, TEXT_SHOWN);
	struct str enhanced = text_clean_ascii(r->arena, v->enhanced, 16);
	struct str out = arena_printf(r->arena, "%u", v->code);

	if (v->code == 0)
		out = S("");
	if (enhanced.n > 0 && !str_starts(text, enhanced))
		out = arena_printf(r->arena, "%.*s %.*s", STR_ARG(out), STR_ARG(enhanced));
	return str_trim(arena_printf(r->arena, "%.*s %.*s", STR_ARG(out), STR_ARG(text)));
}

/* Begin a part of the container. The encoding is named only when it is not the usual one, as RFC 6522 3 prefers. */
static void begin_part(struct report *r, const char *type, const char *description, bool is_8bit_part)
{
	put_line(r, "--%.*s", STR_ARG(r->boundary));
	put_line(r, "Content-Type: %s", type);
	put_line(r, "Content-Description: %s", description);
	if (is_8bit_part)
		put_line(r, "Content-Transfer-Encoding: 8bit");
	put_line(r, "%s", "");
}

/* The original's field as one clean line; "" when it is absent, or holds encoded words, which a person cannot read. */
static struct str original_line(struct report *r, struct str name, size_t max)
{
	const struct header_field *f = header_find(&r->original, name);

	if (!f || str_search(f->value, S("=?")) < f->value.n)
		return S("");
	return text_clean(r->arena, f->value, max);
}

/* What one recipient's reader wants to know. */
static void explain_recipient(struct report *r, const struct report_recipient *rcpt)
{
	struct str by = text_clean(r->arena, rcpt->remote, ADDRESS_SHOWN);
	struct str said = answer(r, &rcpt->verdict, false);
	struct str words = status_words(&rcpt->verdict);

	put_line(r, "%s", "");
	put_wrapped(r, "    ", "    ", shown_address(r, rcpt->address));
	put_wrapped(r, "        ", "        ", words);
	if (said.n == 0)
		return;
	if (by.n > 0)
		said = arena_printf(r->arena, "The server %.*s answered: %.*s", STR_ARG(by), STR_ARG(said));
	else
		said = arena_printf(r->arena, "The reason: %.*s", STR_ARG(said));
	put_wrapped(r, "        ", "        ", said);
}

/* The part for people. */
static void write_words(struct report *r, bool is_8bit_part, bool shortened)
{
	const struct report_input *in = r->in;
	struct str subject = original_line(r, S("Subject"), SUBJECT_SHOWN);
	char id[ID_TEXT_MAX];

	begin_part(r, is_8bit_part ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", "What happened", is_8bit_part);
	put_wrapped(r, "", "",
		    in->n == 1 ? S("Your message could not be delivered to the address below. It will not be tried again.")
			       : S("Your message could not be delivered to the addresses below. It will not be tried again."));
	put_line(r, "%s", "");
	if (subject.n > 0)
		put_wrapped(r, "    Subject: ", "        ", subject);
	put_line(r, "    Sent: %.*s", STR_ARG(mail_date(r->arena, in->original_at)));
	for (size_t i = 0; i < in->n; i++)
		explain_recipient(r, &in->recipients[i]);
	put_line(r, "%s", "");
	put_wrapped(r, "", "", S("This report says nothing about other recipients of the message."));
	put_line(r, "%s", "");
	put_wrapped(
		r, "", "",
		arena_printf(r->arena,
			     "This report was written by the mail relay %.*s, which had taken the message from you. If you ask "
			     "your administrator about it, name the message %s.",
			     STR_ARG(in->hostname), id_format(in->original_id, id)));
	put_line(r, "%s", "");
	put_wrapped(r, "", "",
		    shortened ? S("The next part is for programs. The last one is the beginning of your message's header.")
			      : S("The next part is for programs. The last one is your message's header."));
	put_line(r, "%s", "");
}

/* "rfc822;address" or, beyond ASCII, "utf-8;address" (RFC 6533 3). */
static void put_address(struct report *r, const char *field, struct str address)
{
	address = shown_address(r, address);
	put_line(r, "%s: %s; %.*s", field, text_is_ascii(address) ? "rfc822" : "utf-8", STR_ARG(address));
}

/* RFC 3464 2.3.1: the type and the address as the sender gave them, out of their xtext. */
static void put_original_recipient(struct report *r, struct str orcpt)
{
	struct str text = text_clean(r->arena, text_from_xtext(r->arena, orcpt), ADDRESS_SHOWN);
	size_t semicolon = str_find(text, ';');

	if (semicolon == text.n || (!r->utf8_addresses && !text_is_ascii(text)))
		return;
	put_line(r, "Original-Recipient: %.*s; %.*s", STR_ARG(str_trim(str_head(text, semicolon))),
		 STR_ARG(str_trim(str_from(text, semicolon + 1))));
}

/* RFC 3464 2.3: the group of fields of one recipient. */
static void write_recipient_fields(struct report *r, const struct report_recipient *rcpt)
{
	struct str remote = text_clean_ascii(r->arena, rcpt->remote, ADDRESS_SHOWN);
	struct str said = answer(r, &rcpt->verdict, true);

	put_line(r, "%s", "");
	if (rcpt->orcpt.n > 0)
		put_original_recipient(r, rcpt->orcpt);
	put_address(r, "Final-Recipient", rcpt->address);
	put_line(r, "Action: failed");
	put_line(r, "Status: %.*s", STR_ARG(status_code(&rcpt->verdict)));
	if (remote.n > 0)
		put_line(r, "Remote-MTA: dns; %.*s", STR_ARG(str_head(remote, str_find(remote, ' '))));
	if (said.n > 0)
		put_wrapped(r, remote.n > 0 ? "Diagnostic-Code: smtp; " : "Diagnostic-Code: x-posthouse; ", "    ", said);
	if (rcpt->last_at > 0)
		put_line(r, "Last-Attempt-Date: %.*s", STR_ARG(mail_date(r->arena, rcpt->last_at)));
}

/* The part for programs. */
static void write_status(struct report *r)
{
	const struct report_input *in = r->in;
	char id[ID_TEXT_MAX];

	begin_part(r, r->utf8_addresses ? "message/global-delivery-status" : "message/delivery-status", "For programs",
		   r->utf8_addresses);
	if (in->envid.n > 0)
		put_line(r, "Original-Envelope-Id: %.*s",
			 STR_ARG(text_clean_ascii(r->arena, text_from_xtext(r->arena, in->envid), ADDRESS_SHOWN)));
	put_line(r, "Reporting-MTA: dns; %.*s", STR_ARG(in->hostname));
	put_line(r, "Arrival-Date: %.*s", STR_ARG(mail_date(r->arena, in->original_at)));
	put_line(r, "X-Posthouse-Id: %s", id_format(in->original_id, id));
	for (size_t i = 0; i < in->n; i++)
		write_recipient_fields(r, &in->recipients[i]);
	put_line(r, "%s", "");
}

/* The front of the original header that is passed on: whole fields, within the bound. */
static struct str returned_header(struct report *r)
{
	const struct header *h = &r->original;
	size_t n = 0;

	for (size_t i = 0; i < h->n && n + h->fields[i].whole.n <= HEADER_RETURNED; i++)
		n += h->fields[i].whole.n;
	return str_head(r->in->original_header, n);
}

/* The original's Message-ID, if it can stand in a field of ours; RFC 3834 3.1.5: what this is an answer to. */
static struct str answered_id(struct report *r)
{
	struct str id = original_line(r, S("Message-ID"), 250);

	if (id.n < 3 || id.p[0] != '<' || str_find(id, '>') != id.n - 1 || str_find(id, ' ') < id.n || !text_is_ascii(id))
		return S("");
	return id;
}

static struct str write_header(struct report *r, bool is_8bit_body)
{
	const struct report_input *in = r->in;
	struct str answered = answered_id(r);
	char id[ID_TEXT_MAX];

	put_line(r, "From: Mail Delivery System <mailer-daemon@%.*s>", STR_ARG(in->hostname));
	put_line(r, "To: <%.*s>", STR_ARG(shown_address(r, in->to)));
	put_line(r, "Subject: Your message could not be delivered");
	put_line(r, "Date: %.*s", STR_ARG(mail_date(r->arena, in->now_ms)));
	put_line(r, "Message-ID: <%s@%.*s>", id_format(in->id, id), STR_ARG(in->hostname));
	if (answered.n > 0) {
		put_line(r, "In-Reply-To: %.*s", STR_ARG(answered));
		put_line(r, "References: %.*s", STR_ARG(answered));
	}
	put_line(r, "Auto-Submitted: auto-replied");
	put_line(r, "MIME-Version: 1.0");
	put_line(r, "Content-Type: multipart/report; report-type=%s;\r\n\tboundary=\"%.*s\"",
		 r->utf8_addresses ? "global-delivery-status" : "delivery-status", STR_ARG(r->boundary));
	put_line(r, "Content-Transfer-Encoding: %s", is_8bit_body ? "8bit" : "7bit");
	struct str section = arena_str(r->arena, buf_view(&r->out));
	buf_clear(&r->out);
	return section;
}

/* Whether an address needs RFC 6533's forms. */
static bool any_utf8_address(const struct report_input *in)
{
	for (size_t i = 0; i < in->n; i++) {
		if (!text_is_ascii(in->recipients[i].address))
			return true;
	}
	return false;
}

/* Whether the part for people has anything beyond ASCII. */
static bool words_are_8bit(struct report *r)
{
	const struct report_input *in = r->in;
	bool ascii = text_is_ascii(original_line(r, S("Subject"), SUBJECT_SHOWN));

	for (size_t i = 0; i < in->n; i++) {
		ascii = ascii && text_is_ascii(in->recipients[i].address) && text_is_ascii(in->recipients[i].remote) &&
			text_is_ascii(in->recipients[i].verdict.text);
	}
	return !ascii;
}

void mail_report(struct arena *a, const struct report_input *in, struct str *header_out, struct str *body_out, bool *is_8bit_out)
{
	struct report r = { .arena = a, .in = in, .utf8_addresses = any_utf8_address(in) };

	/* What is no header section (it was checked when it came) is left out of the report; the report goes nevertheless. */
	if (header_parse(a, in->original_header, &r.original).class != OK)
		r.original.n = 0;
	struct str returned = returned_header(&r);
	bool words_8bit = words_are_8bit(&r), returned_8bit = !text_is_ascii(returned);
	bool body_8bit = words_8bit || returned_8bit || r.utf8_addresses;

	assert(in->kind == REPORT_FAILURE);
	buf_init(&r.out, SIZE_MAX / 2);
	/* RFC 2046 5.1.1: a boundary has at most 70 characters. */
	r.boundary = arena_printf(a, "=_posthouse_%.*s", STR_ARG(str_head(in->boundary_seed, 50)));
	*header_out = write_header(&r, body_8bit);
	write_words(&r, words_8bit, returned.n < in->original_header.n);
	write_status(&r);
	begin_part(&r, r.utf8_addresses && returned_8bit ? "message/global-headers" : "text/rfc822-headers",
		   "Your message's header", returned_8bit);
	put(&r, returned);
	put_line(&r, "\r\n--%.*s--", STR_ARG(r.boundary));
	*body_out = arena_str(a, buf_view(&r.out));
	*is_8bit_out = body_8bit || !text_is_ascii(*header_out);
	buf_fini(&r.out);
}
