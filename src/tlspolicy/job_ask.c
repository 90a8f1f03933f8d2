/* job_ask.c - where does a domain want its report? The TXT records at _smtp._tls say that (RFC 8460 3). */
#include "reporting.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/tls_policy.h"

#define LIMIT_MS (30 * SECOND_MS)
#define ASKED_MS DAY_MS /* a domain whose name servers do not answer is asked for so long */

/* States of a day; they are stored. */
enum { DAY_WAITS, DAY_SENT, DAY_UNWANTED, DAY_ABANDONED };

static void day_done(struct job *j, unsigned state)
{
	sqlite3_stmt *q = store_query(j->reporting->store, Q_report_day_done);

	store_bind_number(q, 1, state);
	store_bind_number(q, 2, j->day_ms);
	store_bind(q, 3, j->domain);
	store_run(j->reporting->store, q);
}

static void add_send(struct job *j, const struct rpt_uri *uri, uint64_t now)
{
	struct reporting *r = j->reporting;
	sqlite3_stmt *q = store_query(r->store, Q_report_send_add);
	struct str target = uri->https ? uri->target : arena_printf(&j->arena, "mailto:%.*s", STR_ARG(uri->target));

	store_bind_number(q, 1, j->day_ms);
	store_bind(q, 2, j->domain);
	store_bind(q, 3, target);
	store_bind_number(q, 4, id_next(&r->ids, now));
	store_bind_number(q, 5, random_u64() >> 1);
	store_bind_number(q, 6, now);
	store_bind_number(q, 7, now + DAY_MS); /* RFC 8460 5.5 */
	store_run(r->store, q);
}

/* All places at once, so that a restart sends to each of them once. */
static void keep_places(struct job *j, const struct rpt_record *record)
{
	struct store *s = j->reporting->store;

	store_begin(s);
	for (size_t i = 0; i < record->n; i++)
		add_send(j, &record->at[i], clock_now_ms());
	day_done(j, record->n > 0 ? DAY_SENT : DAY_UNWANTED);
	store_commit(s);
}

static void ask_later(struct job *j, struct str why)
{
	sqlite3_stmt *q = store_query(j->reporting->store, Q_report_day_later);
	uint64_t now = clock_now_ms();

	if (now > j->day_ms + DAY_MS + ASKED_MS) {
		log_info(NULL, "tlsreport.abandoned", kv("domain", j->domain), kv("reason", why));
		j->reporting->abandoned++;
		day_done(j, DAY_ABANDONED);
		return;
	}
	store_bind_number(q, 1, now + job_pause_ms(j->tries));
	store_bind_number(q, 2, j->day_ms);
	store_bind(q, 3, j->domain);
	store_run(j->reporting->store, q);
}

static void on_found(void *ctx, const struct dns_found *found)
{
	struct job *j = ctx;
	struct str_list texts = { ARENA_ARRAY(&j->arena, struct str, found->n), 0 };
	struct rpt_record record;

	j->lookup = NULL;
	if (found->verdict.class != OK) {
		ask_later(j, found->why);
	} else {
		for (size_t i = 0; i < found->n; i++)
			texts.at[texts.n++] = dns_text(&j->arena, found->records[i]);
		rpt_record_read(&j->arena, texts, &record);
		keep_places(j, &record);
	}
	job_end(j);
}

void job_ask(struct job *j)
{
	struct str name = arena_printf(&j->arena, "_smtp._tls.%.*s", STR_ARG(j->domain));

	if (!dns_is_askable(name)) {
		day_done(j, DAY_UNWANTED);
		job_end(j);
		return;
	}
	j->lookup = dns_ask(j->reporting->dns, name, DNS_TXT, LIMIT_MS, on_found, j);
}
