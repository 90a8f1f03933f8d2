/* fuzz_report.c - foreign texts in a report: each line is a line, and the boundary occurs where we put it. The input is a recipient,
 * ORCPT, remote name, answer and envelope id, a line each, and then the original's header section. */
#include "posthouse/mail.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
	if (!good)
		abort();
}

static struct str take_line(struct str *rest)
{
	struct str line = S("");

	str_split(rest, '\n', &line);
	return line;
}

/* Refused, and written again: a report of 7 bits and short lines, whatever is in it. */
static void check_again(struct arena *a, struct str header, struct str body)
{
	struct again_input in = {
		.header = header, .body = body, .hostname = S("relay.example.org"), .from = S("x@example.org")
	};
	struct str line, again_header, again_body;
	bool is_8bit;

	for (in.returns = AGAIN_ALL; in.returns <= AGAIN_WORDS; in.returns++) {
		mail_report_again(a, &in, &again_header, &again_body, &is_8bit);
		require(in.returns == AGAIN_ALL ? str_eq(again_body, body) : !is_8bit);
		require(str_search(again_body, S("--=_posthouse_0011--")) < again_body.n);
		while (in.returns != AGAIN_ALL && str_split(&again_body, '\n', &line))
			require(line.n <= 999);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = { 0 };
	struct str rest = str_make(data, size), header, body, line;
	struct report_recipient r = {
		.address = take_line(&rest), .orcpt = take_line(&rest), .remote = take_line(&rest), .last_at = 1
	};
	struct header h;
	bool is_8bit = false, all_8bit = false;
	size_t boundaries = 0;

	r.verdict = perm(550, take_line(&rest), take_line(&rest));
	struct report_input in = { .kind = REPORT_FAILURE,
				   .return_full = size % 2,
				   .hostname = S("relay.example.org"),
				   .to = S("alice@example.org"),
				   .envid = take_line(&rest),
				   .recipients = &r,
				   .n = 1,
				   .original_header = str_head(rest, str_search(rest, S("\r\n\r\n")) + 2),
				   .original_body = str_from(rest, str_search(rest, S("\r\n\r\n")) + 4),
				   .boundary_seed = S("0011") };
	static const unsigned kinds[] = { REPORT_FAILURE, REPORT_DELAY, REPORT_SUCCESS, REPORT_RELAYED };
	in.kind = kinds[size / 2 % 4];
	mail_report(&a, &in, &header, &body, &is_8bit);
	require(header_parse(&a, header, &h).class == OK && header_find(&h, S("Auto-Submitted")));
	for (size_t i = 0; i < body.n; i++)
		all_8bit = all_8bit || (unsigned char)body.p[i] >= 0x80;
	require(is_8bit || !all_8bit);
	for (rest = body; str_split(&rest, '\n', &line);) {
		require(rest.n == 0 || str_ends(line, S("\r")));
		boundaries += str_starts(line, S("--=_posthouse_0011"));
	}
	/* the original's header may hold the boundary here, since the seed is known */
	require(boundaries >= 4 && str_ends(body, S("--=_posthouse_0011--\r\n")));
	check_again(&a, header, body);
	arena_fini(&a);
	return 0;
}
