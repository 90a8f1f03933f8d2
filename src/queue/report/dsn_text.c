/* dsn_text.c - the texts of reports. */
#include "report/dsn_text.h"

#include "posthouse/id.h"
#include "posthouse/ipc.h"
#include "posthouse/mail.h"
#include "posthouse/meaning.h"

#include <assert.h>

#define QUOTE_MIN (4 * 1024)
#define REPLY_MIN 100 /* bytes of each answer, in a warning to many */

struct str report_quote(struct str bytes, size_t header_size, size_t max)
{
	struct str section = str_head(bytes, header_size);
	bool cut = section.n < header_size || section.n > max;
	size_t end;

	section = str_head(section, max);
	if (str_ends(section, S("\r\n\r\n")) || str_eq(section, S("\r\n")))
		section.n -= 2;
	if (!cut)
		return section;
	/* back to the end of a line that no folded line follows (RFC 5322 2.2.3) */
	for (end = section.n; end > 0; end--)
		if (end < section.n && section.p[end - 1] == '\n' && section.p[end] != ' ' && section.p[end] != '\t')
			break;
	return str_head(section, end);
}

/* The last reply. A warning can be about a recipient without a reply, because there was no attempt. */
static struct verdict answer_of(const struct report_request *request, const struct failed_recipient *f)
{
	if (request->about == KIND_DELAY && f->verdict.class == OK)
		return temp(0, S("4.0.0"), S("it could not be tried yet"));
	return f->verdict;
}

static struct report_recipient *recipients_of(struct arena *a, const struct report_request *request)
{
	struct report_recipient *list = ARENA_ARRAY(a, struct report_recipient, request->n);

	for (size_t i = 0; i < request->n; i++) {
		const struct failed_recipient *f = &request->parent->failed[i];

		list[i] = (struct report_recipient){
			.address = f->address,
			.orcpt = f->orcpt,
			.verdict = answer_of(request, f),
			.remote = f->remote,
			.last_at = f->last_at,
			.advice = meaning_advice(a, f->meaning),
		};
	}
	return list;
}

static struct report_input input_of(struct arena *a, const struct report_request *request, struct report_recipient *recipients)
{
	struct report_input in = {
		.hostname = request->hostname,
		.from = request->from,
		.id = request->id,
		.now_ms = request->now,
		.to = request->parent->envelope.sender,
		.original_id = request->parent->id,
		.original_at = request->parent->received_at,
		.envid = request->parent->envelope.envid,
		.recipients = recipients,
		.n = request->n,
		.original_header = request->quoted,
		.return_full = request->whole.n > 0,
		.original_body = str_from(request->whole, request->parent->header_size + 2), /* after the blank line */
		.boundary_seed =
			arena_printf(a, "%016llx%016llx", (unsigned long long)random_u64(), (unsigned long long)random_u64()),
	};

	in.kind = request->about == KIND_DELAY ? REPORT_DELAY : request->about == KIND_SUCCESS ? REPORT_RELAYED : REPORT_FAILURE;
	if (request->about == KIND_DELAY)
		in.will_retry_until = request->parent->expires_at;
	return in;
}

/* The answers shortened to at most `max` bytes; false when they are no longer already. */
static bool shorten(struct report_recipient *list, size_t n, size_t max)
{
	bool shorter = false;

	for (size_t i = 0; i < n; i++) {
		shorter = shorter || list[i].verdict.text.n > max;
		list[i].verdict.text = str_head(list[i].verdict.text, max);
	}
	return shorter;
}

struct report_text report_write(struct arena *a, const struct report_request *request)
{
	struct report_recipient *recipients = recipients_of(a, request);
	struct report_input in = input_of(a, request, recipients);
	struct report_text text = { .covered = request->n };

	for (;;) {
		in.n = text.covered;
		mail_report(a, &in, &text.header, &text.body, &text.is_8bit);
		if (text.header.n + 2 + text.body.n <= INLINE_MAX)
			return text;
		if (in.return_full) {
			in.return_full = false;
		} else if (in.original_header.n > QUOTE_MIN) {
			in.original_header = report_quote(in.original_header, in.original_header.n, in.original_header.n / 2);
		} else if (request->about != KIND_FAILURE && shorten(recipients, text.covered, REPLY_MIN)) {
			continue; /* of these there is one report, and the answers are not what matters */
		} else if (text.covered > 1) {
			text.covered = (text.covered + 1) / 2;
		} else {
			assert(in.original_header.n > 0); /* one recipient's bounded texts fit */
			in.original_header = S("");
		}
	}
}
