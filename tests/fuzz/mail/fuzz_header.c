/* fuzz_header.c - a message as it comes: the collector in pieces, fields, fix-up; what comes out must be stable. */
#include "posthouse/mail.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
	if (!good)
		abort();
}

/* The section of a message, fed in pieces of `step` bytes; all of it when no blank line comes. */
static struct str collect(struct arena *a, struct str message, size_t step, size_t *body_at_out)
{
	struct header_collector c;
	struct str rest = { 0 };
	size_t body_n = 0;

	header_collector_init(&c);
	for (size_t at = 0; at < message.n; at += step) {
		if (header_collector_feed(&c, str_head(str_from(message, at), step), &rest).class != OK)
			break;
		body_n += rest.n;
	}
	struct str section = arena_str(a, buf_view(&c.section));
	*body_at_out = message.n - body_n;
	header_collector_fini(&c);
	return section;
}

/* After one fix-up nothing is left to fix. */
static void check_fixup(struct arena *a, struct str section)
{
	struct fixup_input in = { .section = section,
				  .hostname = S("relay.example.org"),
				  .id = 1,
				  .now_ms = 1795289874000,
				  .envelope_sender = S("alice@example.org") };
	struct fixup_result first, second;
	struct str_list again;

	if (mail_fixup(a, &in, &first).class != OK)
		return;
	in.section = first.section;
	require(mail_fixup(a, &in, &second).class == OK);
	require(str_eq(first.section, second.section) && first.header.n == second.header.n);
	require(!header_find(&first.header, S("Bcc")) && !header_find(&first.header, S("Resent-Bcc")));
	require(header_find(&first.header, S("Date")) && header_find(&first.header, S("Message-ID")));
	require(first.from.n > 0);
	for (size_t i = 0; i < first.from.n; i++) {
		require(header_addresses(a, first.from.at[i], &again) && again.n == 1);
		require(str_eq(again.at[0], first.from.at[i]));
	}
	for (size_t i = 0; i < first.header.n; i++) {
		require(str_eq(first.header.fields[i].whole, second.header.fields[i].whole));
		require(str_eq(first.header.fields[i].value, second.header.fields[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str message = str_make(data, size);
	size_t at_once, in_pieces;

	if (size > 0) {
		struct str section = collect(&a, message, size, &at_once);
		struct str other = collect(&a, message, 1 + data[size - 1] % 7, &in_pieces);
		require(str_eq(section, other) && at_once == in_pieces);
		check_fixup(&a, section);
	}
	arena_fini(&a);
	return 0;
}
