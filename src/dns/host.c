/* host.c - the addresses of one host: IPv4 and IPv6 are asked for at once. */
#include "internal.h"

void host_begin(struct dns_lookup *l, struct host *h)
{
	if (l->dns->ipv4)
		query_ask(&h->queries[0], l, h->name, DNS_A);
	if (l->dns->ipv6)
		query_ask(&h->queries[1], l, h->name, DNS_AAAA);
}

void host_give_up(struct host *h)
{
	for (unsigned family = 0; family < 2; family++)
		query_give_up(&h->queries[family], S("time is over"));
}

/* Without addresses the host is not secure: there is nothing to connect to. */
bool host_secure(const struct host *h, struct str *end_out)
{
	bool secure = true, some = false;

	*end_out = h->name;
	for (unsigned family = 0; family < 2; family++) {
		const struct query *q = &h->queries[family];

		if (!q->lookup || q->verdict.class != OK || q->n == 0)
			continue;
		some = true;
		secure = secure && q->secure;
		*end_out = q->owner;
	}
	return some && secure;
}
