/* writing.c - what bans and buckets have in common when their changes are written to the store. */
#include "accounting/accounting.h"

#define WRITE_RETRY_MS 2000

bool accounting_can_write(void *ctx)
{
	return accounting_may_store(ctx);
}

static void on_write_retry(uv_timer_t *t)
{
	struct accounting *acc = t->data;

	writebehind_flush(&acc->buckets.changes);
	writebehind_flush(&acc->bans.changes);
}

void accounting_write_later(void *ctx)
{
	struct accounting *acc = ctx;

	uv_timer_start(&acc->write_retry, on_write_retry, WRITE_RETRY_MS, 0);
}
