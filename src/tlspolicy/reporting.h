/* reporting.h - reports about TLS: results are counted by day, and after the day each domain that asks for it by its record at
 * _smtp._tls gets a report, by mail or HTTPS (RFC 8460 5). What is to be done is in the store, so a report goes out once, over
 * restarts too. */
#ifndef TLSPOLICY_REPORTING_H
#define TLSPOLICY_REPORTING_H

#include "results.h"
#include "steady.h"

#include "posthouse/dns.h"
#include "posthouse/id.h"
#include "posthouse/role.h"

enum { JOBS_MAX = 8 }; /* domains that are asked, and reports that are sent, at once */

struct reporting;

/* One thing to be done: `domain` is asked where its report of the day goes, or a report is sent to one place. */
struct job {
	struct reporting *reporting; /* NULL: free */
	struct arena arena;
	struct dns_lookup *lookup;
	uint64_t call;
	uint64_t day_ms, tries;
	struct str domain;
	/* of a report that is sent: */
	uint64_t row, id, token, until_ms;
	struct str target;
	struct str file_name, report_id, file;
	struct str addresses; /* of its host, with spaces between */
};

struct reporting {
	struct role *role;
	struct store *store;
	struct dns *dns; /* the owner's */
	struct results results;
	struct id_source ids;
	struct job jobs[JOBS_MAX];
	uv_timer_t tick;
	struct steady clock;
	uint64_t pruned_mono, sent, abandoned;
};

void reporting_init(struct reporting *r, struct role *role, struct dns *dns, struct store *store);
/* The configuration has changed. */
void reporting_apply(struct reporting *r);
/* What waits is written, and what is under way ends; it is begun again by the next process. Then the timer is closed. */
void reporting_close(struct reporting *r);

/* Is anything counted and reported: is tls_report.from set? */
bool reporting_is_on(const struct reporting *r);

/* Messages of relay and of the console. */
void reporting_count(struct reporting *r, const struct msg_tls_session *m);
void reporting_show(struct reporting *r, struct channel *ch, const struct msg_tls_report_show *m);
void reporting_list(struct reporting *r, struct channel *ch, const struct msg_tls_report_list *m);

/* ---- reporting.c ---- */

/* The report as it is sent or shown, with what the configuration says; policies_n 0: nothing was counted. */
void reporting_make(struct reporting *r, struct arena *a, struct str domain, uint64_t day_ms, size_t failures_max,
		    struct report *report_out);
void job_end(struct job *j);

/* ---- job_ask.c, job_send.c: each begins a job that was taken, and ends with job_end() ---- */
void job_ask(struct job *j);
void job_send(struct job *j);
void job_send_by_https(struct job *j); /* job_post.c: the file is made */
/* The end of an attempt to send: OK; TEMP: later; PERM: never. */
void job_sent(struct job *j, struct verdict v);

/* When the next attempt is due: RFC 8460 5.5 wants the pauses to grow. */
uint64_t job_pause_ms(uint64_t tries);

#endif
