/* outage.c - the database of the engine cannot be reached. Mail at its end of data waits for it for a while, results are tried
 * again each second, all else is refused at once. What was on its way to the database is unknown, so each operation is repeated
 * alone, in the form that finds out whether it was stored before. */
#include "writer.h"

#include "posthouse/clock.h"

#define TRY_EACH_MS 200

static void begin_outage(struct writer *w)
{
	if (w->away_since_ms != 0)
		return;
	w->away_since_ms = w->try_again_ms = clock_mono_ms();
	store_note(w->st, LOG_ERROR, "store.away", 0, w->engine->error_text(w->e));
}

static void end_outage(struct writer *w)
{
	char text[80];

	(void)snprintf(text, sizeof text, "the database is back after %llu ms",
		       (unsigned long long)(clock_mono_ms() - w->away_since_ms));
	w->away_since_ms = 0;
	store_note(w->st, LOG_WARNING, "store.back", 0, text);
}

/* Until the store is to be closed, or the next try. */
static void pause_a_little(struct store *st)
{
	uv_mutex_lock(&st->lock);
	if (!st->stop)
		(void)uv_cond_timedwait(&st->wake, &st->lock, TRY_EACH_MS * 1000000ull); /* either way we look */
	uv_mutex_unlock(&st->lock);
}

/* A try can take many seconds, of a server that says nothing. So an operation that waits no longer does not repeat one that has
 * just failed: the operations of a batch would wait for one try after the other. */
bool outage_wait(struct writer *w, uint64_t until_ms)
{
	begin_outage(w);
	while (clock_mono_ms() < until_ms || clock_mono_ms() >= w->try_again_ms) {
		if (w->engine->reopen(w->e)) {
			end_outage(w);
			return true;
		}
		w->try_again_ms = clock_mono_ms() + TRY_EACH_MS;
		if (clock_mono_ms() >= until_ms || store_is_stopping(w->st))
			return false;
		pause_a_little(w->st);
	}
	return false;
}

/* Until when an operation waits for a database that is away: what a client waits for at its end of data, which is an accept and
 * what intake reads before it. A result is tried again later, an administrator can repeat. */
uint64_t outage_patience(const struct writer *w, const struct op *op)
{
	bool waits = op->request.kind == REQUEST_ACCEPT || op->request.patient;

	return waits ? op->issued_at_ms + w->host.database->patience_ms : 0;
}

bool outage_is_patient(const struct writer *w, const struct op *op)
{
	return outage_patience(w, op) > clock_mono_ms() && !store_is_stopping(w->st);
}

uint64_t outage_split(struct writer *w, struct list *ops, struct list *impatient)
{
	uint64_t until = UINT64_MAX, now = clock_mono_ms();

	LIST_EACH (i, ops) {
		uint64_t patience = outage_patience(w, CONTAINER_OF(i, struct op, link));

		if (patience <= now) {
			list_remove(i);
			list_append(impatient, i);
		} else if (patience < until) {
			until = patience;
		}
	}
	return until;
}

void outage_look_at_results(struct writer *w)
{
	w->host.results_wait = !list_empty(&w->stalled);
	w->host.results_lack_room = false;
	LIST_EACH_OF (const struct op, op, &w->stalled, link)
		w->host.results_lack_room = w->host.results_lack_room || op->request.verdict.code == store_full.code;
}

/* What the engine keeps counts as stored. */
static void keep_results(struct writer *w)
{
	const struct request **results = NULL;
	size_t n = 0, capacity = 0;

	LIST_EACH_OF (const struct op, op, &w->stalled, link) {
		if (op->request.kind != REQUEST_SETTLE)
			continue;
		ARENA_GROW(&w->host.arena, results, n, capacity);
		results[n++] = &op->request;
	}
	if (n == 0 || !w->engine->keep || !w->engine->keep(w->e, results, n))
		return;
	LIST_EACH_OF (struct op, op, &w->stalled, link)
		if (op->request.kind == REQUEST_SETTLE)
			op->request.verdict = ok();
}

void outage_end(struct writer *w)
{
	outage_look_at_results(w);
	LIST_EACH_OF (struct op, op, &w->stalled, link)
		op->request.verdict = why_results_wait(&w->host);
	keep_results(w);
}
