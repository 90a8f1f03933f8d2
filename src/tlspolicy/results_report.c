/* results_report.c - what was counted, as a report. */
#include "results.h"

#include <time.h>

/* A number of an enum as it was stored; one that it does not have is the first. */
static uint64_t within(uint64_t n, uint64_t last)
{
	return n <= last ? n : 0;
}

static void read_failures(struct store *s, struct arena *a, uint64_t policy, size_t max, struct report_policy_counts *p)
{
	struct report_failure *list = NULL;
	size_t n = 0, capacity = 0;
	sqlite3_stmt *q = store_query(s, Q_report_failures);

	store_bind_number(q, 1, policy);
	store_bind_number(q, 2, max);
	while (store_row(s, q)) {
		ARENA_GROW(a, list, n, capacity);
		list[n++] = (struct report_failure){
			.result = (enum tls_result)within(store_number(q, 0), TLS_RESULT_STS_WEBPKI_INVALID),
			.source = arena_str(a, store_text(q, 1)),
			.host = arena_str(a, store_text(q, 2)),
			.ip = arena_str(a, store_text(q, 3)),
			.helo = arena_str(a, store_text(q, 4)),
			.reason = arena_str(a, store_text(q, 5)),
			.count = store_number(q, 6),
		};
	}
	p->failures = list;
	p->failures_n = n;
}

static void read_id(struct store *s, struct arena *a, struct report *r)
{
	sqlite3_stmt *q = store_query(s, Q_report_day_find);
	time_t at = (time_t)(r->day_ms / SECOND_MS);
	struct tm t = { 0 };

	gmtime_r(&at, &t);
	store_bind_number(q, 1, r->day_ms);
	store_bind(q, 2, r->domain);
	if (!store_row(s, q))
		return;
	r->id = arena_printf(a, "%04d%02d%02d.%016llx", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
			     (unsigned long long)store_number(q, 0));
	store_end(q);
}

void results_report(struct store *s, struct arena *a, struct str domain, uint64_t day_ms, size_t failures_max,
		    struct report *report_out)
{
	sqlite3_stmt *q = store_query(s, Q_report_policies);
	struct report_policy_counts *list = ARENA_ARRAY(a, struct report_policy_counts, RESULTS_POLICIES_MAX);
	size_t n = 0;

	*report_out = (struct report){ .domain = domain, .id = S(""), .day_ms = day_ms, .policies = list };
	read_id(s, a, report_out);
	store_bind_number(q, 1, day_ms);
	store_bind(q, 2, domain);
	while (n < RESULTS_POLICIES_MAX && store_row(s, q)) {
		list[n] = (struct report_policy_counts){
			.type = (enum report_policy)within(store_number(q, 1), REPORT_STS),
			.domain = arena_str(a, store_text(q, 2)),
			.text = arena_str(a, store_text(q, 3)),
			.mx = arena_str(a, store_text(q, 4)),
			.successful = store_number(q, 5),
			.failed = store_number(q, 6),
		};
		read_failures(s, a, store_number(q, 0), failures_max, &list[n++]);
	}
	store_end(q);
	report_out->policies_n = n;
}
