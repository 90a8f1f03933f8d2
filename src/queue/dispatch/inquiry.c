/* inquiry.c - relay looks for the mail servers of a domain before anything is leased for the domain. A thousand domains whose
 * name servers are silent cost a thousand questions, but no delivery. Domains that worked lately need no question. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"

#define KEPT_MS   3000 /* longer than a delivery waits whose lane had several possible next hops */
#define ASKED_MAX 1500 /* questions at once: relay has descriptors for more, and needs 20 KiB for each */

static void advance(struct dispatch *d);
static void on_looked_up(void *ctx, struct verdict v, const struct msg_looked_up *m, int fd);

void inquiries_init(struct dispatch *d)
{
	list_init(&d->inquiries.new);
	list_init(&d->inquiries.again);
	list_init(&d->inquiries.asked);
}

void inquire(struct nexthop *hop)
{
	struct inquiries *all = &hop->dispatch->inquiries;

	if (hop->hosts != HOSTS_UNKNOWN)
		return;
	hop->hosts = HOSTS_WANTED;
	list_append(hop->status == NEXTHOP_UP ? &all->new : &all->again, &hop->in_inquiries);
	nexthop_place(hop);
	advance(hop->dispatch);
}

static void ask(struct dispatch *d, struct nexthop *hop)
{
	struct msg_look_up m = { .route = str_of(hop->name) };

	list_remove(&hop->in_inquiries);
	list_append(&d->inquiries.asked, &hop->in_inquiries);
	d->inquiries.asked_n++;
	hop->hosts = HOSTS_ASKED;
	hop->inquiry = ipc_call_look_up(d->relay, &m, -1, on_looked_up, hop);
}

/* The latest and the oldest domain take turns: thousands of dead names in the line delay one another, but not a name that comes
 * later. */
static struct nexthop *next_wanted(struct inquiries *all)
{
	const struct list *line = list_empty(&all->new) ? &all->again : &all->new;

	if (list_empty(line))
		return NULL;
	return CONTAINER_OF(all->turn++ % 2 ? line->next : line->prev, struct nexthop, in_inquiries);
}

static void advance(struct dispatch *d)
{
	struct nexthop *hop;

	while (d->relay && !d->stopping && d->inquiries.asked_n < ASKED_MAX && (hop = next_wanted(&d->inquiries)) != NULL)
		ask(d, hop);
}

static void end(struct nexthop *hop, enum nexthop_hosts hosts)
{
	if (hop->hosts == HOSTS_ASKED)
		hop->dispatch->inquiries.asked_n--;
	list_remove(&hop->in_inquiries);
	hop->hosts = hosts;
	hop->inquiry = 0;
	nexthop_place(hop);
}

static void forget(struct nexthop *hop)
{
	end(hop, HOSTS_UNKNOWN);
	nexthop_forget_waiting(hop); /* the next scan meets the lanes again */
}

static void on_looked_up(void *ctx, struct verdict v, const struct msg_looked_up *m, int fd)
{
	struct nexthop *hop = ctx;
	struct dispatch *d = hop->dispatch;

	if (v.class != OK) { /* relay ends; the next one is asked when it is there */
		forget(hop);
		return;
	}
	end(hop, m->known ? HOSTS_FOUND : HOSTS_MISSING);
	hop->kept_until = clock_now_ms() + KEPT_MS;
	nexthop_resume_waiting(hop);
	advance(d);
	d->ops->wake(d);
}

static void cancel(struct nexthop *hop)
{
	if (hop->hosts == HOSTS_ASKED)
		ipc_cancel(hop->inquiry);
	forget(hop);
}

void inquiries_cancel(struct dispatch *d)
{
	LIST_EACH (i, &d->inquiries.asked)
		cancel(CONTAINER_OF(i, struct nexthop, in_inquiries));
	LIST_EACH (i, &d->inquiries.new)
		cancel(CONTAINER_OF(i, struct nexthop, in_inquiries));
	LIST_EACH (i, &d->inquiries.again)
		cancel(CONTAINER_OF(i, struct nexthop, in_inquiries));
}
