/* open.c - look-ups over a source of answers: their beginning and end. */
#include "internal.h"

#include <stdlib.h>

struct dns *dns_new(uv_loop_t *loop, const struct dns_source *source, bool ipv4, bool ipv6)
{
	struct dns *d = NEW(struct dns);

	d->loop = loop;
	d->source = *source;
	list_init(&d->lookups);
	d->ipv4 = ipv4;
	d->ipv6 = ipv6;
	d->limit_ms = LIMIT_MS;
	return d;
}

void dns_use(struct dns *d, bool ipv4, bool ipv6)
{
	d->ipv4 = ipv4;
	d->ipv6 = ipv6;
}

void dns_close(struct dns *d)
{
	if (!d)
		return;
	LIST_EACH (i, &d->lookups)
		dns_cancel(CONTAINER_OF(i, struct dns_lookup, item));
	if (d->source.close)
		d->source.close(d->source.ctx);
	free(d);
}
