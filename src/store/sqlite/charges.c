/* charges.c - one node uses this database and knows of all charges, so the states that it has computed are written. */
#include "rows.h"

bool charges_add(struct engine *e, const struct bucket_row *rows, size_t n, struct request *r)
{
	return false;
}

bool charges_are_judged(const struct engine *e, const struct accepted *m)
{
	return false;
}

bool charges_fit(struct engine *e, const struct accepted *m, struct request *r)
{
	return true;
}
