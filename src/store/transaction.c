/* transaction.c - one transaction: what the engine changes, and what changes among the files together with it. */
#include "writer.h"

#include "posthouse/clock.h"

bool transaction_begin(struct writer *w)
{
	spool_begin(&w->host.spool);
	return w->engine->begin(w->e);
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
