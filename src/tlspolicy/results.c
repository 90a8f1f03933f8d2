/* results.c - results in memory, and their way into the store. */
#include "results.h"

#include "posthouse/id.h"
#include "posthouse/log.h"

#include <stdlib.h>

/* RFC 8460 4.1: reports go out some time within the hours after their day. */
#define FIRST_MS (5 * MINUTE_MS)
#define LAST_MS  (4 * HOUR_MS)

#define DETAIL_MAX 255 /* bytes of a name or a reason */

struct waiting {
	struct hashtable_item item;
	uint64_t day_ms;
	struct session_result result;
};

void results_init(struct results *r, struct store *store)
{
	sqlite3_stmt *q = store_query(store, Q_report_day_count);

	*r = (struct results){ .store = store };
	if (store_row(store, q)) {
		r->days = store_number(q, 0);
		store_end(q);
	}
}

void results_fini(struct results *r)
{
	results_write(r);
	hashtable_fini(&r->waiting);
	arena_fini(&r->arena);
}

/* ---- memory ---- */

/* All texts of a result, in an order. */
static size_t texts_of(const struct session_result *s, struct str texts_out[9])
{
	const struct report_failure *f = &s->failure;
	const struct str all[9] = { s->domain, s->policy_domain, s->text, s->mx, f->source, f->host, f->ip, f->helo, f->reason };

	memcpy(texts_out, all, sizeof all);
	return 9;
}

static uint64_t hash_of(const struct session_result *s, uint64_t day_ms)
{
	uint64_t hash = hash_numbers(day_ms + s->type, s->failure.result);
	struct str texts[9];
	size_t n = texts_of(s, texts);

	for (size_t i = 0; i < n; i++)
		if (texts[i].n > 0)
			hash = hash_numbers(hash + i, hash_text(texts[i]));
	return hash;
}

static bool are_equal(const struct session_result *a, const struct session_result *b)
{
	struct str of_a[9], of_b[9];
	size_t n = texts_of(a, of_a);

	texts_of(b, of_b);
	for (size_t i = 0; i < n; i++)
		if (!str_eq(of_a[i], of_b[i]))
			return false;
	return a->type == b->type && a->failure.result == b->failure.result;
}

/* Whole lines of a text that is too long. */
static struct str cut_lines(struct str lines)
{
	struct str cut = str_head(lines, RESULTS_POLICY_MAX);

	return cut.n < lines.n ? str_head(cut, str_rfind(cut, '\n') == cut.n ? 0 : str_rfind(cut, '\n') + 1) : lines;
}

/* What does not tell results apart is left out, so that they are one. */
static struct session_result bounded(const struct session_result *s)
{
	struct session_result b = *s;
	struct report_failure *f = &b.failure;

	b.text = cut_lines(b.text);
	b.mx = cut_lines(b.mx);
	b.policy_domain = str_head(b.policy_domain, DETAIL_MAX);
	if (f->result == TLS_RESULT_SUCCESSFUL)
		*f = (struct report_failure){ .result = f->result, .count = f->count };
	f->source = str_head(f->source, DETAIL_MAX);
	f->host = str_head(f->host, DETAIL_MAX);
	f->ip = str_head(f->ip, DETAIL_MAX);
	f->helo = str_head(f->helo, DETAIL_MAX);
	f->reason = str_head(f->reason, DETAIL_MAX);
	return b;
}

static void keep_texts(struct arena *a, struct session_result *s)
{
	struct report_failure *f = &s->failure;
	struct str *const texts[] = { &s->domain, &s->policy_domain, &s->text,  &s->mx, &f->source, &f->host,
				      &f->ip,     &f->helo,          &f->reason };

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		*texts[i] = arena_str(a, *texts[i]);
}

void results_count(struct results *r, const struct session_result *s, uint64_t now_ms)
{
	struct session_result b = bounded(s);
	uint64_t day_ms = now_ms - now_ms % DAY_MS, hash = hash_of(&b, day_ms);
	struct waiting *w;

	if (b.domain.n == 0 || b.domain.n > DETAIL_MAX)
		return;
	r->counted += b.failure.count;
	HASHTABLE_FIND_OF (struct waiting, found, &r->waiting, hash, item)
		if (found->day_ms == day_ms && are_equal(&found->result, &b)) {
			found->result.failure.count += b.failure.count;
			return;
		}
	if (r->waiting.n >= RESULTS_WAITING_MAX)
		results_write(r);
	if (r->waiting.n >= RESULTS_WAITING_MAX) { /* the store takes nothing now */
		r->not_counted += b.failure.count;
		return;
	}
	w = ARENA_NEW(&r->arena, struct waiting);
	w->day_ms = day_ms;
	w->result = b;
	keep_texts(&r->arena, &w->result);
	hashtable_add(&r->waiting, &w->item, hash);
}

/* ---- the store ---- */

/* The day of the domain: its report gets a time and a number. */
static bool write_day(struct results *r, const struct waiting *w)
{
	sqlite3_stmt *q = store_query(r->store, Q_report_day_find);
	bool there;

	store_bind_number(q, 1, w->day_ms);
	store_bind(q, 2, w->result.domain);
	there = store_row(r->store, q);
	store_end(q);
	if (there)
		return true;
	if (r->days >= RESULTS_DAYS_MAX)
		return false;
	q = store_query(r->store, Q_report_day_add);
	store_bind_number(q, 1, w->day_ms);
	store_bind(q, 2, w->result.domain);
	store_bind_number(q, 3, random_u64() >> 1);
	store_bind_number(q, 4, w->day_ms + DAY_MS + FIRST_MS + random_u64() % (LAST_MS - FIRST_MS));
	if (!store_run(r->store, q))
		return false;
	r->days++;
	return true;
}

static void bind_policy(sqlite3_stmt *q, const struct waiting *w)
{
	const struct session_result *s = &w->result;
	bool good = s->failure.result == TLS_RESULT_SUCCESSFUL;

	store_bind_number(q, 1, w->day_ms);
	store_bind(q, 2, s->domain);
	store_bind_number(q, 3, s->type);
	store_bind(q, 4, s->policy_domain);
	store_bind(q, 5, s->text);
	store_bind_number(q, 6, good ? s->failure.count : 0);
	store_bind_number(q, 7, good ? 0 : s->failure.count);
	store_bind(q, 8, s->mx);
}

/* The number of the policy's row; 0: there is none, and there must be no more. */
static uint64_t write_policy(struct results *r, const struct waiting *w)
{
	static const enum statement steps[] = { Q_report_policy_more, Q_report_policy_add };
	uint64_t row = 0;

	for (size_t i = 0; row == 0 && i < 2; i++) {
		sqlite3_stmt *q = store_query(r->store, steps[i]);

		bind_policy(q, w);
		if (store_row(r->store, q)) {
			row = store_number(q, 0);
			store_run(r->store, q);
		}
	}
	return row;
}

static bool write_failure_as(struct results *r, enum statement which, uint64_t policy, const struct report_failure *f)
{
	sqlite3_stmt *q = store_query(r->store, which);
	bool done;

	store_bind_number(q, 1, policy);
	store_bind_number(q, 2, f->result);
	store_bind(q, 3, f->source);
	store_bind(q, 4, f->host);
	store_bind(q, 5, f->ip);
	store_bind(q, 6, f->helo);
	store_bind(q, 7, f->reason);
	store_bind_number(q, 8, f->count);
	store_bind_number(q, 9, f->host.n + f->ip.n + f->helo.n + f->reason.n > 0 ? RESULTS_FAILURES_MAX : UINT32_MAX);
	done = store_row(r->store, q);
	if (done)
		store_run(r->store, q);
	return done;
}

static bool write_failure(struct results *r, uint64_t policy, const struct report_failure *f)
{
	const struct report_failure rest = { .result = f->result, .count = f->count };

	return write_failure_as(r, Q_report_failure_more, policy, f) || write_failure_as(r, Q_report_failure_add, policy, f) ||
	       write_failure_as(r, Q_report_failure_more, policy, &rest) ||
	       write_failure_as(r, Q_report_failure_add, policy, &rest);
}

static bool write_one(struct results *r, const struct waiting *w)
{
	uint64_t policy = write_day(r, w) ? write_policy(r, w) : 0;

	return policy > 0 && (w->result.failure.result == TLS_RESULT_SUCCESSFUL || write_failure(r, policy, &w->result.failure));
}

void results_write(struct results *r)
{
	uint64_t lost = 0;

	if (r->waiting.n == 0)
		return;
	store_begin(r->store);
	HASHTABLE_EACH_OF (struct waiting, w, &r->waiting, item)
		if (!write_one(r, w))
			lost += w->result.failure.count;
	if (!store_commit(r->store))
		return; /* all of it is written with the next batch */
	if (lost > 0)
		log_warning(NULL, "tlsreport.uncounted", kv("sessions", lost));
	r->not_counted += lost;
	hashtable_clear(&r->waiting);
	arena_reset(&r->arena);
}

void results_prune(struct results *r, uint64_t now_ms)
{
	static const enum statement steps[] = { Q_report_failure_prune, Q_report_policy_prune, Q_report_send_prune,
						Q_report_day_prune, Q_report_day_count };
	uint64_t today = now_ms - now_ms % DAY_MS,
		 oldest = today > RESULTS_KEPT_DAYS * DAY_MS ? today - RESULTS_KEPT_DAYS * DAY_MS : 0;

	store_begin(r->store);
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		sqlite3_stmt *q = store_query(r->store, steps[i]);

		if (steps[i] != Q_report_day_count) {
			store_bind_number(q, 1, oldest);
			store_bind_number(q, 2, today + DAY_MS);
			store_run(r->store, q);
		} else if (store_row(r->store, q)) {
			r->days = store_number(q, 0);
			store_end(q);
		}
	}
	store_commit(r->store);
}
