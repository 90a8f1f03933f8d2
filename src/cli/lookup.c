/* lookup.c - see lookup.h. */
#include "lookup.h"

struct asking {
	struct arena *arena;
	size_t open;
	uv_timer_t late;
	struct dns *dns;
};

struct one {
	struct asking *all;
	struct lookup *lookup;
};

static struct str value_of(struct arena *a, const struct dns_record *r)
{
	if (r->type == DNS_MX)
		return arena_printf(a, "%u %.*s.", r->preference, STR_ARG(r->name));
	if (r->type == DNS_SRV)
		return arena_printf(a, "%u %u %u %.*s.", r->preference, r->weight, r->port, STR_ARG(r->name));
	return dns_text(a, r);
}

static void close_all(struct asking *all)
{
	dns_close(all->dns);
	uv_close((uv_handle_t *)&all->late, NULL);
}

static void on_found(void *ctx, const struct dns_found *found)
{
	struct one *one = ctx;
	struct lookup *l = one->lookup;
	struct arena *a = one->all->arena;

	if (found->verdict.class == OK) {
		l->state = found->n > 0 ? LOOKUP_THERE : LOOKUP_NONE;
		l->values.at = ARENA_ARRAY(a, struct str, found->n);
		for (size_t i = 0; i < found->n; i++)
			l->values.at[l->values.n++] = value_of(a, found->records[i]);
	}
	if (--one->all->open == 0)
		close_all(one->all);
}

/* What has no answer now stays unknown. */
static void on_late(uv_timer_t *timer)
{
	struct asking *all = timer->data;

	close_all(all);
}

void lookups_ask(struct arena *a, struct str resolver, struct lookup *lookups, size_t n, uint64_t within_ms)
{
	const struct dns_options options = { .resolver = resolver, .trust_anchor = S(""), .ipv4 = true, .ipv6 = true };
	struct asking all = { .arena = a, .open = n };
	struct verdict why;
	uv_loop_t loop;

	uv_loop_init(&loop);
	all.dns = dns_open(&loop, &options, a, &why);
	if (all.dns) {
		uv_timer_init(&loop, &all.late);
		all.late.data = &all;
		uv_timer_start(&all.late, on_late, within_ms, 0);
		for (size_t i = 0; i < n; i++) {
			struct one *one = ARENA_NEW(a, struct one);

			*one = (struct one){ &all, &lookups[i] };
			dns_ask(all.dns, lookups[i].name, lookups[i].type, within_ms, on_found, one);
		}
	}
	uv_run(&loop, UV_RUN_DEFAULT); /* where dns_open() has failed, this frees what it made */
	uv_loop_close(&loop);
}
