/* fuzz_notice.c - reports and notices of queue about a message: two bytes, then address, server and answer of each recipient, a
 * line "%%", and the original. They are mail that every server takes, and fields of events that can be read again. */
#include "common/event_fields.h"
#include "common/format.h"
#include "fuzz.h"
#include "report/dsn_text.h"

#include "posthouse/ipc.h"
#include "posthouse/mail.h"

#define RECIPIENTS_MAX 8

static void check_lines(struct str text, bool is_8bit)
{
	struct str line;

	assert(is_8bit || str_is_ascii(text));
	while (str_split(&text, '\n', &line)) {
		assert(str_ends(line, S("\r")) || text.n == 0);
		line.n -= str_ends(line, S("\r"));
		assert(line.n <= 998 && str_find(line, '\r') == line.n && str_find(line, '\0') == line.n);
	}
}

static void check_text(struct arena *a, struct str header, struct str body, bool is_8bit)
{
	struct header h;

	check_lines(header, is_8bit);
	check_lines(body, is_8bit);
	assert(header_parse(a, header, &h).class == OK && header_find(&h, S("From")) && header_find(&h, S("Auto-Submitted")));
}

static void check_notice(struct arena *a, struct str subject, struct str words)
{
	struct notification_input in = { .hostname = S("relay.example.org"),
					 .from = S("mailer-daemon@example.org"),
					 .id = 1,
					 .now_ms = 1795301717000,
					 .to = S("postmaster@example.org"),
					 .subject = subject,
					 .words = words };
	struct str header, body;
	bool is_8bit;

	mail_notification(a, &in, &header, &body, &is_8bit);
	check_text(a, header, body, is_8bit);
}

static void check_fields(struct arena *a, struct str text, struct str other)
{
	struct str fields = FIELDS(a, kv("recipient", text), kv("code", 550), kv("text", other));

	assert(fields.n <= FIELDS_MAX);
	fuzz_assert_one_line(fields);
	assert(format_line(a, text).n <= 4 * text.n + 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum message_kind kinds[] = { KIND_FAILURE, KIND_DELAY, KIND_SUCCESS };
	struct str rest = str_make(data, size), separator = S("\n%%\n"), part;
	unsigned how = fuzz_byte(&rest), codes = fuzz_byte(&rest);
	struct failed_recipient failed[RECIPIENTS_MAX] = { 0 };
	struct unreported parent = { .id = 77, .received_at = 1795301000000, .expires_at = 1795901000000, .failed = failed };
	struct report_request r = { .hostname = S("relay.example.org"),
				    .from = S("mailer-daemon@example.org"),
				    .id = 1,
				    .now = 1795301717000,
				    .about = kinds[how % 3],
				    .parent = &parent };
	struct arena a = { 0 };
	struct report_text text;

	if (size > 16384)
		return 0;
	part = str_head(rest, str_search(rest, separator));
	rest = str_from(rest, part.n + separator.n);
	parent.envelope.sender = S("alice@example.org");
	while (part.n > 0 && parent.failed_n < RECIPIENTS_MAX) {
		struct failed_recipient *f = &failed[parent.failed_n++];

		f->address = fuzz_line(&part);
		f->remote = fuzz_line(&part);
		f->verdict = (struct verdict){ .class = codes & 1 ? PERM : TEMP,
					       .code = codes & 1 ? 550 : 451,
					       .text = fuzz_line(&part) };
	}
	parent.header_size = report_quote(rest, rest.n, 48 * 1024).n;
	parent.size = rest.n;
	r.quoted = report_quote(rest, rest.n, 48 * 1024);
	assert(r.quoted.n <= rest.n);
	r.whole = how & 4 ? rest : S("");
	r.n = parent.failed_n;
	if (parent.failed_n > 0) {
		text = report_write(&a, &r);
		assert(text.covered > 0 && text.covered <= r.n && text.header.n + text.body.n <= INLINE_MAX);
		check_text(&a, text.header, text.body, text.is_8bit);
		text = postmaster_copy_write(&a, r.hostname, r.from, 1, r.now, S("postmaster@example.org"), &parent);
		check_text(&a, text.header, text.body, text.is_8bit);
		check_fields(&a, failed[0].address, failed[0].verdict.text);
	}
	check_notice(&a, failed[0].address.p ? failed[0].address : S("x"), rest);
	arena_fini(&a);
	return 0;
}
