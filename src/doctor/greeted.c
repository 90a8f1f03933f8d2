/* greeted.c - the mail servers of others that are greeted: one of each domain in doctor.probe, by each address family. */
#include "run.h"

#define MX_MAX 5 /* mail servers of a probe domain that are looked at for an address */

/* The best mail server of the probe domain that has an address of the family. */
struct str greeted_address(struct doctor *d, struct str domain, bool v6, struct str *host_out)
{
	const struct fact_dns *mx = facts_dns(d, VIEW_WORLD, domain, DNS_MX);
	size_t best;
	unsigned above = 0;

	for (unsigned round = 0; round < MX_MAX; round++) {
		const struct fact_dns *f;

		best = mx->n;
		for (size_t i = 0; i < mx->n; i++)
			if (mx->records[i].preference >= above &&
			    (best == mx->n || mx->records[i].preference < mx->records[best].preference))
				best = i;
		if (best == mx->n)
			break;
		f = facts_dns(d, VIEW_WORLD, mx->records[best].text, v6 ? DNS_AAAA : DNS_A);
		*host_out = mx->records[best].text;
		if (f->n > 0 || f->state == FACT_PENDING)
			return f->n > 0 ? f->records[0].text : S("");
		above = mx->records[best].preference + 1;
	}
	return S("");
}

const struct fact_probe *port25_probe(struct doctor *d, size_t domain, bool v6)
{
	struct str host = S(""), address = greeted_address(d, d->config->doctor.probe.at[domain], v6, &host);
	struct probe p = { .host = address, .port = (unsigned)d->config->delivery.port };

	return address.n > 0 ? facts_probe(d, &p) : NULL;
}
