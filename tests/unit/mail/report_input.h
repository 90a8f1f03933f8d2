/* report_input.h - the report that the tests of reports begin with. */
#ifndef TEST_REPORT_INPUT_H
#define TEST_REPORT_INPUT_H

#include "posthouse/mail.h"

#define NOW 1795289874000

static inline struct report_input report_base(const struct report_recipient *r, size_t n, struct str original)
{
	return (struct report_input){ .kind = REPORT_FAILURE,
				      .hostname = S("relay.example.org"),
				      .from = S("mailer-daemon@relay.example.org"),
				      .id = 2,
				      .now_ms = NOW,
				      .to = S("alice@example.org"),
				      .original_id = 1,
				      .original_at = NOW - 120000,
				      .envid = S("env+2Bid"),
				      .recipients = r,
				      .n = n,
				      .original_header = original,
				      .boundary_seed = S("00112233445566778899aabb") };
}

#endif
