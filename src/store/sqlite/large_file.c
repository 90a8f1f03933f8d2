/* large_file.c - large texts of messages are files of the spool. */
#include "sqlite.h"

struct verdict large_check(struct engine *e, const struct accepted *m)
{
	return spool_check(e->host, m->id, m->size);
}

void large_keep(struct engine *e, uint64_t id)
{
	spool_keep(e->host, id);
}

/* The row first: a file without a row does no harm. */
void large_drop(struct engine *e, uint64_t id)
{
	spool_forget(e->host, id);
}

void message_room(struct engine *e, uint64_t id)
{
}

void history_prune(struct engine *e, uint64_t before)
{
}

bool large_read(struct engine *e, struct request *r, uint64_t size)
{
	return spool_read(e->host, r, size);
}
