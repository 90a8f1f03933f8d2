/* validation.c - do the name servers pass on what validation needs? A forwarder that strips signatures makes all that is signed
 * look forged, and one that strips denials (NSEC) all that is not signed. */
#include "library.h"

#include <stdlib.h>
#include <unistd.h>

#define RCODE_NOERROR 0
#define DNS_DS        43

/* What the root zone has, signed; and that it has no "example" (RFC 6761 6.5), proved. */
static const struct {
	const char *name;
	unsigned type;
} questions[] = { { ".", DNS_SOA }, { "example", DNS_DS } };
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

struct dns_probe {
	struct dns_library *library;
	struct arena arena;
	struct dns_waiter waiter;
	uv_timer_t timer; /* for the next step, or until time is over */
	uint64_t deadline;
	size_t at; /* the question */
	enum dns_validation result;
	struct str why;
	dns_probe_fn done;
	void *ctx;
};

static void on_closed(uv_handle_t *h)
{
	struct dns_probe *p = h->data;

	arena_fini(&p->arena);
	free(p);
}

void dns_probe_cancel(struct dns_probe *p)
{
	if (!p)
		return;
	if (p->waiter.question)
		dns_library_drop(&p->waiter);
	uv_close((uv_handle_t *)&p->timer, on_closed);
}

static void finish(struct dns_probe *p, enum dns_validation result, struct str why)
{
	dns_probe_fn done = p->done;
	void *ctx = p->ctx;

	dns_probe_cancel(p);
	done(ctx, result, why); /* the memory is freed when the loop next runs */
}

static void on_step(uv_timer_t *timer);

static void ask(struct dns_probe *p)
{
	uint64_t now = uv_now(p->library->base.loop), left = p->deadline > now ? p->deadline - now : 0;
	struct dns_query q = {
		.name = str_of(questions[p->at].name), .type = questions[p->at].type, .limit_ms = left, .first = true
	};

	uv_timer_start(&p->timer, on_step, left, 0);
	dns_library_ask(p->library, &q, &p->waiter);
}

static void on_step(uv_timer_t *timer)
{
	struct dns_probe *p = timer->data;

	if (p->waiter.question)
		finish(p, DNS_SILENT, S("they do not answer in time"));
	else if (p->result != DNS_VALIDATES || p->at == QUESTIONS)
		finish(p, p->result, p->why);
	else
		ask(p);
}

/* The library takes no question within its callback. */
static void on_answered(struct dns_waiter *w, const struct dns_reply *reply)
{
	struct dns_probe *p = CONTAINER_OF(w, struct dns_probe, waiter);
	bool answered = reply->security == DNS_BOGUS || (reply->rcode == RCODE_NOERROR && reply->packet.n > 0);

	if (reply->security == DNS_SECURE && answered) {
		p->at++;
	} else {
		p->result = answered ? DNS_STRIPPED : DNS_SILENT;
		p->why = arena_printf(&p->arena, "%.*s", STR_ARG(str_head(reply->why, 200)));
	}
	uv_timer_start(&p->timer, on_step, 0, 0);
}

struct dns_probe *dns_probe_validation(struct dns_library *d, uint64_t limit_ms, dns_probe_fn done, void *ctx)
{
	struct dns_probe *p = NEW(struct dns_probe);

	p->library = d;
	p->result = DNS_VALIDATES;
	p->deadline = uv_now(d->base.loop) + limit_ms;
	p->waiter.answered = on_answered;
	p->done = done;
	p->ctx = ctx;
	uv_timer_init(d->base.loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, on_step, 0, 0);
	return p;
}

bool dns_tries_root_key(const struct dns_options *o)
{
	return o->trust_anchor.n == 0 && !str_eq(o->resolver, S("recursive")) && access(DNS_ROOT_KEY, R_OK) == 0;
}

bool dns_library_validates(const struct dns_library *d)
{
	return d->validates;
}
