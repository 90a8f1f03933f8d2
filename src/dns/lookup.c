/* lookup.c - one look-up: the MX question, then the addresses of all hosts at once, within one time limit.
 *
 * An answer can come before the question is asked, and libunbound's callbacks must neither ask the next question nor delete the
 * context. So the timer of the look-up takes every step: at once after the last answer, or when time is over. */
#include "internal.h"

#include <stdlib.h>

static void on_step(uv_timer_t *timer);

struct dns_lookup *lookup_new(struct dns *d, struct str domain, uv_timer_cb step, void *ctx)
{
	struct dns_lookup *l = NEW(struct dns_lookup);

	l->dns = d;
	l->domain = arena_str(&l->arena, domain);
	l->ctx = ctx;
	list_append(&d->lookups, &l->item);
	uv_timer_init(d->loop, &l->timer);
	l->timer.data = l;
	l->step = step;
	uv_timer_start(&l->timer, step, 0, 0);
	return l;
}

struct dns_lookup *dns_mx(struct dns *d, struct str domain, unsigned port, const struct str_list *own_names, dns_mx_fn done,
			  void *ctx)
{
	struct dns_lookup *l = lookup_new(d, domain, on_step, ctx);

	l->port = port;
	l->own_names.at = ARENA_ARRAY(&l->arena, struct str, own_names ? own_names->n + 1 : 1);
	for (size_t i = 0; own_names && i < own_names->n; i++) {
		struct str own = own_names->at[i];

		if (str_ends(own, S(".")))
			own.n--;
		l->own_names.at[l->own_names.n++] = arena_str(&l->arena, own);
	}
	l->done = done;
	return l;
}

static void on_timer_closed(uv_handle_t *h)
{
	struct dns_lookup *l = h->data;

	arena_fini(&l->arena);
	free(l);
}

void lookup_end(struct dns_lookup *l)
{
	query_cancel(&l->mx);
	for (size_t i = 0; i < l->hosts_n; i++)
		for (unsigned family = 0; family < 2; family++)
			query_cancel(&l->hosts[i].queries[family]);
	list_remove(&l->item);
	l->state = LOOKUP_DONE;
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

static void finish(struct dns_lookup *l, struct verdict v, const struct dns_host *hosts, size_t n)
{
	lookup_end(l);
	l->done(l->ctx, v, hosts, n);
}

void lookup_await(struct dns_lookup *l, enum lookup_state state)
{
	uint64_t now = uv_now(l->dns->loop);

	l->state = state;
	uv_timer_start(&l->timer, l->step, l->open == 0 || l->deadline <= now ? 0 : l->deadline - now, 0);
}

static void begin(struct dns_lookup *l)
{
	struct dns_host *hosts = NULL;
	size_t n = 0;
	struct verdict v;
	struct str name;

	l->deadline = uv_now(l->dns->loop) + l->dns->limit_ms;
	if (str_starts(l->domain, S("["))) {
		v = literal_result(l, &hosts, &n);
		finish(l, v, hosts, n);
		return;
	}
	if (!name_to_ascii(&l->arena, l->domain, &name)) {
		v = perm(550, S("5.1.2"), arena_printf(&l->arena, "%.*s is no domain", STR_ARG(str_head(l->domain, 255))));
		finish(l, v, NULL, 0);
		return;
	}
	l->domain = name;
	query_ask(&l->mx, l, l->domain, DNS_MX);
	lookup_await(l, LOOKUP_MX);
}

static void ask_addresses(struct dns_lookup *l)
{
	struct verdict v;

	query_give_up(&l->mx, S("time is over"));
	v = choose_hosts(l);
	if (v.class != OK) {
		finish(l, v, NULL, 0);
		return;
	}
	for (size_t i = 0; i < l->hosts_n; i++)
		host_begin(l, &l->hosts[i]);
	lookup_await(l, LOOKUP_ADDRESSES);
}

static void report(struct dns_lookup *l)
{
	struct dns_host *hosts = NULL;
	struct verdict v;
	size_t n = 0;

	for (size_t i = 0; i < l->hosts_n; i++)
		host_give_up(&l->hosts[i]);
	v = gather_result(l, &hosts, &n);
	finish(l, v, hosts, n);
}

static void on_step(uv_timer_t *timer)
{
	struct dns_lookup *l = timer->data;

	switch (l->state) {
	case LOOKUP_NEW: begin(l); break;
	case LOOKUP_MX: ask_addresses(l); break;
	case LOOKUP_ADDRESSES: report(l); break;
	case LOOKUP_ASKED:
	case LOOKUP_DONE: break;
	}
}

void dns_cancel(struct dns_lookup *l)
{
	if (l && l->state != LOOKUP_DONE)
		lookup_end(l);
}
