/* report_text.c - a failure report's text. */
#include "report_text.h"

#include "posthouse/id.h"
#include "posthouse/ipc.h"
#include "posthouse/mail.h"

#include <assert.h>

#define QUOTE_MIN (4 * 1024)

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

static struct report_recipient *recipients_of(struct arena *a, const struct unreported *parent)
{
	struct report_recipient *list = ARENA_ARRAY(a, struct report_recipient, parent->failed_n);

	for (size_t i = 0; i < parent->failed_n; i++)
		list[i] = (struct report_recipient){
			.address = parent->failed[i].address,
			.orcpt = parent->failed[i].orcpt,
			.verdict = parent->failed[i].verdict,
			.remote = parent->failed[i].remote,
			.last_at = parent->failed[i].last_at,
		};
	return list;
}

struct report_text report_write(struct arena *a, struct str hostname, uint64_t id, uint64_t now, const struct unreported *parent,
				struct str quoted)
{
	struct report_text text = { .covered = parent->failed_n };
	struct report_input in = {
		.kind = REPORT_FAILURE,
		.hostname = hostname,
		.id = id,
		.now_ms = now,
		.to = parent->sender,
		.original_id = parent->id,
		.original_at = parent->received_at,
		.envid = parent->envid,
		.recipients = recipients_of(a, parent),
		.original_header = quoted,
		.boundary_seed =
			arena_printf(a, "%016llx%016llx", (unsigned long long)random_u64(), (unsigned long long)random_u64()),
	};

	for (;;) {
		in.n = text.covered;
		mail_report(a, &in, &text.header, &text.body, &text.is_8bit);
		if (text.header.n + 2 + text.body.n <= INLINE_MAX)
			return text;
		if (in.original_header.n > QUOTE_MIN) {
			in.original_header = report_quote(in.original_header, in.original_header.n, in.original_header.n / 2);
		} else if (text.covered > 1) {
			text.covered = (text.covered + 1) / 2;
		} else {
			assert(in.original_header.n > 0); /* one recipient's bounded texts fit */
			in.original_header = S("");
		}
	}
}
