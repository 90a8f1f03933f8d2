/* tls_report.c - the mail that carries a report about TLS (RFC 8460 5.3): words for people, and the compressed report. */
#include "posthouse/base64.h"
#include "posthouse/id.h"
#include "posthouse/mail.h"

#include "lines.h"
#include "text.h"

#define TEXT_MAX 900 /* of one address or name: a line holds it */
#define LINE_IN  54  /* bytes of the report on a line of 72 letters of base64 */

static void put_header(struct arena *a, struct buf *out, const struct tls_report_input *in, struct str boundary)
{
	struct str domain = text_clean_ascii(a, in->domain, TEXT_MAX), submitter = text_clean_ascii(a, in->submitter, TEXT_MAX);
	char id[ID_TEXT_MAX];

	lines_printf(out, "From: <%.*s>", STR_ARG(text_clean(a, in->from, TEXT_MAX)));
	lines_printf(out, "To: <%.*s>", STR_ARG(text_clean(a, in->to, TEXT_MAX)));
	lines_printf(out, "Subject: Report Domain: %.*s\r\n\tSubmitter: %.*s\r\n\tReport-ID: <%.*s>", STR_ARG(domain),
		     STR_ARG(submitter), STR_ARG(text_clean_ascii(a, in->report_id, TEXT_MAX)));
	lines_printf(out, "Date: %.*s", STR_ARG(mail_date(a, in->now_ms)));
	lines_printf(out, "Message-ID: <%s@%.*s>", id_format(in->id, id), STR_ARG(in->hostname));
	lines_printf(out, "TLS-Report-Domain: %.*s", STR_ARG(domain));
	lines_printf(out, "TLS-Report-Submitter: %.*s", STR_ARG(submitter));
	lines_printf(out, "TLS-Required: No");               /* RFC 8460 3: whatever is wrong with TLS there (RFC 8689 5) */
	lines_printf(out, "Auto-Submitted: auto-generated"); /* RFC 3834 5 */
	lines_printf(out, "MIME-Version: 1.0");
	lines_printf(out, "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"%.*s\"", STR_ARG(boundary));
}

static void put_report(struct arena *a, struct buf *out, const struct tls_report_input *in)
{
	lines_printf(out, "Content-Type: application/tlsrpt+gzip");
	lines_printf(out, "Content-Transfer-Encoding: base64");
	lines_printf(out, "Content-Disposition: attachment;\r\n\tfilename=\"%.*s\"\r\n",
		     STR_ARG(text_clean_ascii(a, in->file_name, TEXT_MAX)));
	for (size_t at = 0; at < in->report.n; at += LINE_IN) {
		base64_add(out, str_head(str_from(in->report, at), LINE_IN));
		lines_put(out, S("\r\n"));
	}
}

void mail_tls_report(struct arena *a, const struct tls_report_input *in, struct str *header_out, struct str *body_out)
{
	char id[ID_TEXT_MAX];
	/* no line of base64 or of these words begins with "--" */
	struct str boundary = arena_printf(a, "=_posthouse_%s", id_format(in->id, id));
	struct buf out;

	buf_init(&out, SIZE_MAX / 2);
	put_header(a, &out, in, boundary);
	*header_out = arena_str(a, buf_view(&out));
	buf_clear(&out);
	lines_printf(&out, "--%.*s\r\nContent-Type: text/plain; charset=us-ascii\r\n", STR_ARG(boundary));
	lines_wrap(&out, "", "",
		   arena_printf(a,
				"This is an aggregate report (RFC 8460) from %.*s about TLS with the mail servers of %.*s. It is "
				"meant for programs; it was asked for by the DNS record at _smtp._tls.%.*s.",
				STR_ARG(text_clean_ascii(a, in->submitter, TEXT_MAX)),
				STR_ARG(text_clean_ascii(a, in->domain, TEXT_MAX)),
				STR_ARG(text_clean_ascii(a, in->domain, TEXT_MAX))));
	lines_printf(&out, "\r\n--%.*s", STR_ARG(boundary));
	put_report(a, &out, in);
	lines_printf(&out, "\r\n--%.*s--", STR_ARG(boundary));
	*body_out = arena_str(a, buf_view(&out));
	buf_fini(&out);
}
