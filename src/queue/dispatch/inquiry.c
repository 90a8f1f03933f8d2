/* inquiry.c - relay looks for the mail servers of a domain before anything is leased for it: a thousand domains whose name servers are
 * silent cost a thousand questions, and no delivery. Domains that worked lately need no such question. */
#include "dispatch/dispatch.h"

#define ASKED_MAX 1500 /* questions at once: relay has descriptors for more, and needs 20 KiB for each */

static void advance(struct dispatch *d);
static void on_looked_up(void *ctx, struct verdict v, const struct msg_looked_up *m, int fd);

void inquiries_init(struct dispatch *d)
{
	list_init(&d->inquiries.new);
	list_init(&d->inquiries.again);
	list_init(&d->inquiries.asked);
}

void inquire(struct gate *g)
{
	struct inquiries *all = &g->dispatch->inquiries;

	if (g->hosts != HOSTS_UNKNOWN)
		return;
	g->hosts = HOSTS_WANTED;
	list_append(g->status == GATE_UP ? &all->new : &all->again, &g->in_inquiries);
	gate_place(g);
	advance(g->dispatch);
}

static void ask(struct dispatch *d, struct gate *g)
{
	struct msg_look_up m = { .route = str_of(g->name) };

	list_remove(&g->in_inquiries);
	list_append(&d->inquiries.asked, &g->in_inquiries);
	d->inquiries.asked_n++;
	g->hosts = HOSTS_ASKED;
	g->inquiry = ipc_call_look_up(d->relay, &m, -1, on_looked_up, g);
}

/* The latest and the oldest take turns: whoever fills the line with thousands of dead names waits there himself. */
static struct gate *next_wanted(struct inquiries *all)
{
	const struct list *line = list_empty(&all->new) ? &all->again : &all->new;

	if (list_empty(line))
		return NULL;
	return CONTAINER_OF(all->turn++ % 2 ? line->next : line->prev, struct gate, in_inquiries);
}

static void advance(struct dispatch *d)
{
	struct gate *g;

	while (d->relay && !d->stopping && d->inquiries.asked_n < ASKED_MAX && (g = next_wanted(&d->inquiries)) != NULL)
		ask(d, g);
}

static void end(struct gate *g, enum gate_hosts hosts)
{
	if (g->hosts == HOSTS_ASKED)
		g->dispatch->inquiries.asked_n--;
	list_remove(&g->in_inquiries);
	g->hosts = hosts;
	g->inquiry = 0;
	gate_place(g);
}

static void forget(struct gate *g)
{
	end(g, HOSTS_UNKNOWN);
	gate_forget_waiting(g); /* the next sweep meets the lanes again */
}

static void on_looked_up(void *ctx, struct verdict v, const struct msg_looked_up *m, int fd)
{
	struct gate *g = ctx;
	struct dispatch *d = g->dispatch;

	if (v.class != OK) { /* relay is going; the next one is asked when it is there */
		forget(g);
		return;
	}
	end(g, m->known ? HOSTS_FOUND : HOSTS_MISSING);
	gate_resume_waiting(g);
	advance(d);
	d->ops->wake(d);
}

static void cancel(struct gate *g)
{
	if (g->hosts == HOSTS_ASKED)
		ipc_cancel(g->inquiry);
	forget(g);
}

void inquiries_cancel(struct dispatch *d)
{
	LIST_EACH (i, &d->inquiries.asked)
		cancel(CONTAINER_OF(i, struct gate, in_inquiries));
	LIST_EACH (i, &d->inquiries.new)
		cancel(CONTAINER_OF(i, struct gate, in_inquiries));
	LIST_EACH (i, &d->inquiries.again)
		cancel(CONTAINER_OF(i, struct gate, in_inquiries));
}
