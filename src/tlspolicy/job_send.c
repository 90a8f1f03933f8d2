/* job_send.c - a report goes to one of the places that its domain has named: as mail by way of queue, or by HTTPS. */
#include "reporting.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"

#define FILE_MAX (48 * 1024) /* in base64 it fits into a message between roles */

enum { SEND_WAITS, SEND_DONE, SEND_ABANDONED };

/* The compressed report; a very large one has fewer failures of each policy. False: nothing was counted. */
static bool make_file(struct job *j)
{
	struct report report;
	size_t failures = RESULTS_FAILURES_MAX;

	do {
		reporting_make(j->reporting, &j->arena, j->domain, j->day_ms, failures, &report);
		j->file = report_gzip(&j->arena, report_json(&j->arena, &report, false));
		failures /= 4;
	} while (j->file.n > FILE_MAX && failures > 0);
	j->file_name = report_file_name(&j->arena, &report);
	j->report_id = report.id;
	return report.policies_n > 0 && j->file.n <= FILE_MAX;
}

static void send_done(struct job *j, unsigned state, struct str said)
{
	sqlite3_stmt *q = store_query(j->reporting->store, Q_report_send_done);

	store_bind_number(q, 1, state);
	store_bind(q, 2, said);
	store_bind_number(q, 3, j->row);
	store_run(j->reporting->store, q);
}

static void send_later(struct job *j, uint64_t due_at, struct str said)
{
	sqlite3_stmt *q = store_query(j->reporting->store, Q_report_send_again);

	store_bind_number(q, 1, due_at);
	store_bind(q, 2, said);
	store_bind_number(q, 3, j->row);
	store_run(j->reporting->store, q);
}

void job_sent(struct job *j, struct verdict v)
{
	struct reporting *r = j->reporting;
	uint64_t due_at = clock_now_ms() + job_pause_ms(j->tries);
	struct str said = str_head(v.text, 300);

	if (v.class == OK) {
		log_info(NULL, "tlsreport.sent", kv("domain", j->domain), kv("to", j->target), kv("report", j->report_id));
		send_done(j, SEND_DONE, S(""));
		r->sent++;
	} else if (v.class == TEMP && due_at < j->until_ms) {
		log_debug(NULL, "tlsreport.delayed", kv("domain", j->domain), kv("to", j->target), kv("reason", said));
		send_later(j, due_at, said);
	} else {
		log_warning(NULL, "tlsreport.abandoned", kv("domain", j->domain), kv("to", j->target), kv("reason", said));
		send_done(j, SEND_ABANDONED, said);
		r->abandoned++;
	}
	job_end(j);
}

static void on_taken(void *ctx, struct verdict v, const struct msg_tls_report_taken *m, int fd)
{
	struct job *j = ctx;

	j->call = 0;
	job_sent(j, m ? m->verdict : v);
}

void job_send(struct job *j)
{
	struct msg_tls_report_send m = { .id = j->id, .token = j->token, .domain = j->domain };

	if (!make_file(j)) {
		job_sent(j, perm(550, S("5.3.4"), S("there is no report of this day any more")));
		return;
	}
	if (!str_starts(j->target, S("mailto:"))) {
		job_send_by_https(j);
		return;
	}
	m.recipient = str_from(j->target, str_find(j->target, ':') + 1);
	m.report_id = j->report_id;
	m.file_name = j->file_name;
	m.report = j->file;
	j->call = ipc_call_tls_report_send(role_peer(j->reporting->role, ROLE_QUEUE, 0), &m, -1, on_taken, j);
}
