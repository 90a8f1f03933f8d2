/* transaction.c - one transaction: what the engine changes, and what changes among the files together with it. */
#include "writer.h"

#include "posthouse/clock.h"

void transaction_expect(struct writer *w, enum rank rank)
{
	if (w->engine->expect)
		LIST_EACH_OF (struct op, op, &w->batch[rank], link)
			if (op->request.kind < REQUESTS_OF_ENGINE)
				w->engine->expect(w->e, &op->request);
}

bool transaction_begin(struct writer *w)
{
	spool_begin(&w->host.spool);
	if (!w->engine->begin(w->e))
		return false;
	if (!w->host.alone)
		transaction_expect(w, RANK_RESULT);
	return true;
}

bool transaction_commit(struct writer *w)
{
	uint64_t begun = clock_mono_ms();

	if (!spool_before_commit(&w->host) || !w->engine->commit(w->e))
		return false;
	histogram_count(&w->commit_time, clock_mono_ms() - begun);
	w->commits++;
	spool_after_commit(&w->host);
	return true;
}

void transaction_count_failure(struct writer *w)
{
	switch (w->engine->error(w->e)) {
	case ENGINE_FULL: w->repeated[REPEAT_FULL]++; break;
	case ENGINE_AWAY: w->repeated[REPEAT_AWAY]++; break;
	case ENGINE_PASSING: w->repeated[REPEAT_CONFLICT]++; break;
	default: w->repeated[REPEAT_REFUSED]++;
	}
}
