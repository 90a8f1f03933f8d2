/* transaction.c - one transaction: what the engine changes, and what changes among the files together with it. */
#include "writer.h"

bool transaction_begin(struct writer *w)
{
	spool_begin(&w->host.spool);
	return w->engine->begin(w->e);
}

bool transaction_commit(struct writer *w)
{
	if (!spool_before_commit(&w->host) || !w->engine->commit(w->e))
		return false;
	w->commits++;
	spool_after_commit(&w->host);
	return true;
}
