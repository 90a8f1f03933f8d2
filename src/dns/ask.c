/* ask.c - one question of any type. */
#include "internal.h"

#define NAME_MAX_BYTES  253
#define LABEL_MAX_BYTES 63

bool dns_is_askable(struct str name)
{
	struct str label;

	if (name.n == 0 || name.n > NAME_MAX_BYTES || name.p[name.n - 1] == '.')
		return false;
	while (str_split(&name, '.', &label))
		if (label.n == 0 || label.n > LABEL_MAX_BYTES)
			return false;
	return true;
}

static void report(struct dns_lookup *l)
{
	const struct query *q = &l->mx;
	const struct dns_found found = { .verdict = q->verdict,
					 .why = q->why,
					 .exists = q->exists,
					 .secure = q->secure,
					 .bogus = q->bogus,
					 .end = q->owner,
					 .ttl = q->ttl,
					 .records = q->records,
					 .n = q->n };

	lookup_end(l);
	l->found(l->ctx, &found);
}

static void on_step(uv_timer_t *timer)
{
	struct dns_lookup *l = timer->data;
	bool askable = dns_is_askable(l->domain);

	if (l->state == LOOKUP_NEW && askable) {
		l->deadline = uv_now(l->dns->loop) + l->limit_ms;
		query_ask(&l->mx, l, l->domain, l->type);
		lookup_await(l, LOOKUP_ASKED);
		return;
	}
	if (askable)
		query_give_up(&l->mx, S("time is over"));
	else
		l->mx = (struct query){ .lookup = l,
					.why = S("it is no name"),
					.verdict = temp(451, S("4.4.3"), S("it is no name")) };
	report(l);
}

struct dns_lookup *dns_ask(struct dns *d, struct str name, unsigned type, uint64_t limit_ms, dns_found_fn found, void *ctx)
{
	struct dns_lookup *l = lookup_new(d, name, on_step, ctx);

	l->domain = arena_lower(&l->arena, l->domain);
	l->type = type;
	l->limit_ms = limit_ms;
	l->found = found;
	return l;
}
