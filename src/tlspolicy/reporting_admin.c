/* reporting_admin.c - what `posthouse tls-report` asks. */
#include "reporting.h"

#include "posthouse/names.h"

enum { ROWS_MAX = 200 };

static struct verdict refusal_of(const struct reporting *r)
{
	if (!reporting_is_on(r))
		return perm(550, S("5.3.5"), S("there are no reports about TLS: tls_report.from is not set"));
	return ok();
}

void reporting_show(struct reporting *r, struct channel *ch, const struct msg_tls_report_show *m)
{
	struct msg_tls_report_shown answer = { .call = m->call, .verdict = refusal_of(r) };
	struct arena a = { 0 };
	struct report report;
	struct str text;

	if (answer.verdict.class == OK) {
		results_write(&r->results);
		reporting_make(r, &a, m->domain, m->day_ms - m->day_ms % DAY_MS, RESULTS_FAILURES_MAX, &report);
		if (report.policies_n == 0) {
			answer.verdict = perm(550, S("5.1.2"), S("no session with this domain was counted on that day"));
		} else {
			text = str_from(report_json(&a, &report, true), m->cursor);
			answer.text = str_head(text, INLINE_MAX);
			answer.cursor = text.n > answer.text.n ? m->cursor + answer.text.n : 0;
		}
	}
	ipc_send_tls_report_shown(ch, &answer, -1);
	arena_fini(&a);
}

void reporting_list(struct reporting *r, struct channel *ch, const struct msg_tls_report_list *m)
{
	struct msg_tls_report_listed answer = { .call = m->call, .verdict = refusal_of(r) };
	struct rec_tls_report_row rows[ROWS_MAX];
	struct arena a = { 0 };
	sqlite3_stmt *q;
	size_t n = 0;

	if (answer.verdict.class == OK) {
		results_write(&r->results);
		q = store_query(r->store, Q_report_day_list);
		store_bind_number(q, 1, m->day_ms - m->day_ms % DAY_MS);
		store_bind(q, 2, m->after);
		store_bind_number(q, 3, ROWS_MAX);
		while (n < ROWS_MAX && store_row(r->store, q))
			rows[n++] = (struct rec_tls_report_row){ .domain = arena_str(&a, store_text(q, 0)),
								 .state = store_number(q, 1),
								 .successful = store_number(q, 2),
								 .failed = store_number(q, 3),
								 .places = store_number(q, 4),
								 .sent = store_number(q, 5),
								 .said = arena_str(&a, store_text(q, 6)) };
		store_end(q);
		answer.rows.at = rows;
		answer.rows.n = n;
		answer.more = n == ROWS_MAX;
	}
	ipc_send_tls_report_listed(ch, &answer, -1);
	arena_fini(&a);
}
