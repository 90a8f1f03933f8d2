/* hosts.c - from an MX answer to the hosts to try, in order (RFC 5321 5.1, RFC 7505). */
#include "internal.h"

#include "posthouse/id.h"

#include <stdlib.h>

/* Byte by byte: the items are small and few. */
static void swap(char *a, char *b, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = a[i];

		a[i] = b[i];
		b[i] = c;
	}
}

/* The algorithm of Fisher and Yates. */
void shuffle(void *items, size_t n, size_t size)
{
	for (size_t i = n; i > 1; i--)
		swap((char *)items + (i - 1) * size, (char *)items + random_u64() % i * size, size);
}

/* The hosts of an MX answer without repetitions, each with its best preference. *null_out: the answer says "no mail". */
static size_t collect(const struct query *mx, struct host *hosts, bool *null_out)
{
	size_t n = 0, roots = 0;

	for (size_t i = 0; i < mx->n; i++) {
		const struct dns_record *r = mx->records[i];
		size_t known = 0;

		/* RFC 7505 3: the root as the only host means "no mail"; together with other hosts it means nothing */
		if (r->name.n == 0)
			roots++;
		/* RFC 5321 5.1 wants a host name: a record with an address or anything else is ignored */
		if (!name_is_host(r->name))
			continue;
		while (known < n && !str_eq(hosts[known].name, r->name))
			known++;
		if (known == n)
			hosts[n++] = (struct host){ .name = r->name, .preference = r->preference };
		else if (r->preference < hosts[known].preference)
			hosts[known].preference = r->preference;
	}
	*null_out = roots > 0 && roots == mx->n;
	return n;
}

static int by_preference(const void *a, const void *b)
{
	const struct host *x = a, *y = b;

	return x->preference < y->preference ? -1 : x->preference > y->preference;
}

/* Leave out this relay and all hosts that are not better (RFC 5321 5.1: mail must not go in circles). The hosts are sorted. */
static size_t cut_at_own(const struct dns_lookup *l, const struct host *hosts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_own_name(&l->own_names, hosts[i].name))
			continue;
		while (i > 0 && hosts[i - 1].preference == hosts[i].preference)
			i--;
		return i;
	}
	return n;
}

/* By preference; hosts of equal preference at random, so that they share the load. */
static void sort_at_random(struct host *hosts, size_t n)
{
	size_t from = 0;

	qsort(hosts, n, sizeof(*hosts), by_preference);
	for (size_t i = 1; i <= n; i++) {
		if (i < n && hosts[i].preference == hosts[from].preference)
			continue;
		shuffle(hosts + from, i - from, sizeof(*hosts));
		from = i;
	}
}

struct verdict loop_found(struct dns_lookup *l)
{
	return perm(554, S("5.4.6"),
		    arena_printf(&l->arena, "the mail of %.*s would come back to this host", STR_ARG(l->domain)));
}

struct verdict choose_hosts(struct dns_lookup *l)
{
	struct arena *a = &l->arena;
	const struct query *mx = &l->mx;
	size_t n, better;
	bool null;

	if (mx->verdict.class != OK)
		return mx->verdict;
	if (!mx->exists)
		return perm(550, S("5.1.2"), arena_printf(a, "the domain %.*s does not exist", STR_ARG(l->domain)));
	l->hosts = ARENA_ARRAY(a, struct host, mx->n + 1);
	n = collect(mx, l->hosts, &null);
	if (null)
		return perm(556, S("5.1.10"), arena_printf(a, "the domain %.*s takes no mail", STR_ARG(l->domain)));
	if (mx->n == 0) /* RFC 5321 5.1: the implicit MX */
		l->hosts[n++] = (struct host){ .name = l->domain };
	else if (n == 0)
		return perm(550, S("5.4.4"), arena_printf(a, "the mail hosts of %.*s have no usable name", STR_ARG(l->domain)));
	sort_at_random(l->hosts, n);
	better = cut_at_own(l, l->hosts, n);
	if (better == 0)
		return loop_found(l);
	l->hosts_n = better < HOSTS_MAX ? better : HOSTS_MAX;
	return ok();
}
