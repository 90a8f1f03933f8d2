/* notification.c - a plain message from the relay to its postmaster. */
#include "posthouse/id.h"
#include "posthouse/mail.h"

#include "lines.h"
#include "text.h"

#define SUBJECT_MAX 200
#define LINE_MAX_IN 4000 /* bytes of one line of the words */
#define ADDRESS_MAX 900

/* How a line of the words is indented: its white space at the front, 24 bytes at most. */
static const char *indent_of(struct arena *a, struct str line)
{
	size_t n = 0;

	while (n < line.n && n < 24 && line.p[n] == ' ')
		n++;
	return arena_cstr(a, str_head(line, n));
}

void mail_notification(struct arena *a, const struct notification_input *in, struct str *header_out, struct str *body_out,
		       bool *is_8bit_out)
{
	struct str words = in->words, line, to = text_clean(a, in->to, ADDRESS_MAX);
	struct buf out;
	char id[ID_TEXT_MAX];

	buf_init(&out, SIZE_MAX / 2);
	while (str_split(&words, '\n', &line)) {
		const char *indent = indent_of(a, line);
		lines_wrap(&out, line.n > 0 ? indent : "", indent, text_clean(a, line, LINE_MAX_IN));
	}
	*body_out = arena_str(a, buf_view(&out));
	bool body_8bit = !str_is_ascii(*body_out);

	buf_clear(&out);
	lines_printf(&out, "From: Mail Delivery System <%.*s>", STR_ARG(text_clean(a, in->from, ADDRESS_MAX)));
	lines_printf(&out, "To: <%.*s>", STR_ARG(to));
	lines_printf(&out, "Subject: %.*s", STR_ARG(text_clean_ascii(a, in->subject, SUBJECT_MAX)));
	lines_printf(&out, "Date: %.*s", STR_ARG(mail_date(a, in->now_ms)));
	lines_printf(&out, "Message-ID: <%s@%.*s>", id_format(in->id, id), STR_ARG(in->hostname));
	lines_printf(&out, "Auto-Submitted: auto-generated"); /* RFC 3834 5 */
	lines_printf(&out, "MIME-Version: 1.0");
	lines_printf(&out, "Content-Type: text/plain; charset=%s", body_8bit ? "utf-8" : "us-ascii");
	lines_printf(&out, "Content-Transfer-Encoding: %s", body_8bit ? "8bit" : "7bit");
	*header_out = arena_str(a, buf_view(&out));
	*is_8bit_out = body_8bit || !str_is_ascii(*header_out);
	buf_fini(&out);
}
