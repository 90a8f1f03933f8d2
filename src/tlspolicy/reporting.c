/* reporting.c - what is due is taken from the store, a few at once. */
#include "reporting.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/utf8.h"

#define TICK_MS  RESULTS_WRITE_MS
#define PRUNE_MS (10 * MINUTE_MS)
#define LEASE_MS (15 * MINUTE_MS) /* longer than any job takes */

bool reporting_is_on(const struct reporting *r)
{
	return role_config(r->role)->tls_report.from.n > 0;
}

uint64_t job_pause_ms(uint64_t tries)
{
	uint64_t pause = (15 * MINUTE_MS) << (tries < 6 ? tries : 6);

	return pause < 8 * HOUR_MS ? pause : 8 * HOUR_MS;
}

void reporting_make(struct reporting *r, struct arena *a, struct str domain, uint64_t day_ms, size_t failures_max,
		    struct report *report_out)
{
	const struct cfg_tls_report *c = &role_config(r->role)->tls_report;

	results_report(r->store, a, domain, day_ms, failures_max, report_out);
	report_out->org = c->org;
	report_out->contact = c->contact;
	report_out->id = arena_printf(a, "%.*s@%.*s", STR_ARG(report_out->id), STR_ARG(address_domain(c->from)));
}

/* ---- jobs ---- */

static void lease(struct reporting *r, enum statement which, uint64_t now, const struct job *j)
{
	sqlite3_stmt *q = store_query(r->store, which);

	store_bind_number(q, 1, now + LEASE_MS);
	if (which == Q_report_send_later) {
		store_bind_number(q, 2, j->row);
	} else {
		store_bind_number(q, 2, j->day_ms);
		store_bind(q, 3, j->domain);
	}
	store_run(r->store, q);
}

/* A report whose place is known. */
static bool take_send(struct reporting *r, struct job *j, uint64_t now)
{
	sqlite3_stmt *q = store_query(r->store, Q_report_send_due);

	store_bind_number(q, 1, now);
	if (!store_row(r->store, q))
		return false;
	j->row = store_number(q, 0);
	j->day_ms = store_number(q, 1);
	j->domain = arena_str(&j->arena, store_text(q, 2));
	j->target = arena_str(&j->arena, store_text(q, 3));
	j->id = store_number(q, 4);
	j->token = store_number(q, 5);
	j->tries = store_number(q, 6);
	j->until_ms = store_number(q, 7);
	store_end(q);
	lease(r, Q_report_send_later, now, j);
	return true;
}

/* A domain whose day is over. */
static bool take_day(struct reporting *r, struct job *j, uint64_t now)
{
	sqlite3_stmt *q = store_query(r->store, Q_report_day_due);

	store_bind_number(q, 1, now);
	if (!store_row(r->store, q))
		return false;
	j->day_ms = store_number(q, 0);
	j->domain = arena_str(&j->arena, store_text(q, 1));
	j->tries = store_number(q, 2);
	store_end(q);
	lease(r, Q_report_day_later, now, j);
	return true;
}

static bool begin(struct reporting *r, struct job *j, uint64_t now)
{
	*j = (struct job){ .reporting = r };
	if (take_send(r, j, now)) {
		role_busy(r->role, +1);
		job_send(j);
	} else if (!r->ids.waits && take_day(r, j, now)) {
		role_busy(r->role, +1);
		job_ask(j);
	} else {
		*j = (struct job){ .reporting = NULL };
		return false;
	}
	return true;
}

static void begin_jobs(struct reporting *r)
{
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < JOBS_MAX && reporting_is_on(r) && !role_stopping(r->role); i++)
		if (!r->jobs[i].reporting && !begin(r, &r->jobs[i], now))
			return;
}

/* Only by a clock that has not jumped for a while: what is to be sent must not count as too old, or as of the future. */
static void prune(struct reporting *r)
{
	uint64_t now = clock_now_ms(), mono = clock_mono_ms();

	(void)steady_now(&r->clock, now, mono);
	if (!steady_is_calm(&r->clock, mono) || (r->pruned_mono > 0 && mono - r->pruned_mono < PRUNE_MS))
		return;
	results_prune(&r->results, now);
	r->pruned_mono = mono;
}

static void on_next(uv_timer_t *t)
{
	struct reporting *r = t->data;

	results_write(&r->results);
	prune(r);
	begin_jobs(r);
	uv_timer_start(&r->tick, on_next, TICK_MS, 0);
}

void job_end(struct job *j)
{
	struct reporting *r = j->reporting;

	dns_cancel(j->lookup);
	ipc_cancel(j->call);
	arena_fini(&j->arena);
	*j = (struct job){ .reporting = NULL };
	role_busy(r->role, -1);
	if (uv_is_active((uv_handle_t *)&r->tick))
		uv_timer_start(&r->tick, on_next, 0, 0); /* from the loop: the next one */
}

/* ---- the whole ---- */

void reporting_init(struct reporting *r, struct role *role, struct dns *dns, struct store *store)
{
	*r = (struct reporting){ .role = role,
				 .store = store,
				 .dns = dns,
				 .ids = { .node = ID_NODE_OTHERS,
					  .worker = ID_WORKER_TLSPOLICY,
					  .waits = role_config(role)->store.engine == ENGINE_POSTGRESQL } };
	results_init(&r->results, store);
	uv_timer_init(role_loop(role), &r->tick);
	r->tick.data = r;
	reporting_apply(r);
}

void reporting_apply(struct reporting *r)
{
	if (role_stopping(r->role))
		return;
	if (reporting_is_on(r) && !uv_is_active((uv_handle_t *)&r->tick))
		uv_timer_start(&r->tick, on_next, TICK_MS, 0);
	else if (!reporting_is_on(r))
		uv_timer_stop(&r->tick);
}

void reporting_close(struct reporting *r)
{
	uv_timer_stop(&r->tick);
	for (size_t i = 0; i < JOBS_MAX; i++)
		if (r->jobs[i].reporting)
			job_end(&r->jobs[i]);
	results_fini(&r->results);
	uv_close((uv_handle_t *)&r->tick, NULL);
}

/* ---- counting ---- */

void reporting_count(struct reporting *r, const struct msg_tls_session *m)
{
	struct arena a = { 0 };
	struct session_result s = {
		.domain = m->domain,
		.type = m->policy <= REPORT_STS ? (enum report_policy)m->policy : REPORT_NO_POLICY,
		.policy_domain = m->policy_domain,
		.text = m->text,
		.mx = m->mx,
		.failure = { .result = m->result <= TLS_RESULT_STS_WEBPKI_INVALID ? (enum tls_result)m->result
										  : TLS_RESULT_VALIDATION_FAILURE,
			     .source = m->source,
			     .host = m->host,
			     .ip = m->ip,
			     .helo = utf8_shown(&a, m->helo),
			     .reason = utf8_shown(&a, m->reason),
			     .count = 1 },
	};

	if (reporting_is_on(r) && s.failure.result != TLS_RESULT_NONE)
		results_count(&r->results, &s, clock_now_ms());
	arena_fini(&a);
}
