/* message.c - a message of which recipients were leased, and how they are divided into deliveries. */
#include "queue.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>

#define FULL_DELAY_MS 10000 /* what a full gate does not take waits so long */

static void copy_recipients(struct arena *a, struct due_recipient *to, const struct due_recipient *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].address = arena_str(a, from[i].address);
		to[i].orcpt = arena_str(a, from[i].orcpt);
	}
}

struct message *message_new(struct queue *q, const struct due_message *due)
{
	struct message *m = NEW(struct message);
	struct arena *a = &m->arena;

	list_init(&m->in_fetched);
	m->queue = q;
	m->leases = 1;
	m->due = *due;
	m->due.login = arena_str(a, due->login);
	m->due.sender = arena_str(a, due->sender);
	m->due.envid = arena_str(a, due->envid);
	m->due.sign_domain = arena_str(a, due->sign_domain);
	m->due.prefix = arena_str(a, due->prefix);
	m->due.text = arena_str(a, due->text);
	m->due.recipients = NULL;
	m->due.recipients_n = 0;
	message_add(m, due->recipients, due->recipients_n);
	return m;
}

void message_add(struct message *m, const struct due_recipient *recipients, size_t n)
{
	struct due_recipient *all = ARENA_ARRAY(&m->arena, struct due_recipient, m->due.recipients_n + n);

	if (m->due.recipients_n > 0)
		memcpy(all, m->due.recipients, m->due.recipients_n * sizeof *all);
	copy_recipients(&m->arena, all + m->due.recipients_n, recipients, n);
	m->due.recipients = all;
	m->due.recipients_n += n;
}

void message_release(struct message *m)
{
	assert(m->leases > 0);
	if (--m->leases > 0)
		return;
	arena_fini(&m->arena);
	free(m);
}

/* ---- splitting ---- */

/* More than the codec can need for one recipient, and for all but the recipients: lengths, numbers, head. */
static size_t encoded_bytes(const struct due_recipient *r)
{
	return 64 + r->address.n + r->orcpt.n;
}

static size_t fixed_bytes(const struct due_message *m, const struct gate *g)
{
	return 512 + m->sender.n + m->envid.n + m->prefix.n + m->text.n + strlen(g->name);
}

size_t delivery_bytes(const struct lease *l)
{
	size_t bytes = fixed_bytes(&l->message->due, l->gate);

	for (size_t i = 0; i < l->recipients_n; i++)
		bytes += encoded_bytes(&l->recipients[i]);
	return bytes;
}

/* A way for each recipient: its gate, or the reason why there is none. */
static void find_ways(struct message *m, struct gate **gates_out, struct verdict *whys_out)
{
	const struct config *c = role_config(m->queue->role);

	for (size_t i = 0; i < m->due.recipients_n; i++) {
		struct route r = route_find(c, m->due.login, m->due.sender, m->due.recipients[i].address);

		gates_out[i] = r.upstream ? gate_of(m->queue, r.upstream) : NULL;
		whys_out[i] = r.why;
	}
}

static void park(struct lease *l)
{
	uint64_t now = clock_now_ms();
	struct gate *g = l->gate;

	if (gate_takes(g) && l->message->queue->relay && !l->message->queue->stopping) {
		lease_enter(l, LEASE_PARKED);
		return;
	}
	/* Relay has gone meanwhile; or other gates had room, and here it waits in the store, where it costs nothing. */
	if (!l->message->queue->relay || l->message->queue->stopping)
		outcome_return(l, now);
	else
		outcome_return(l, g->status == GATE_DOWN ? g->down_until : now + FULL_DELAY_MS);
}

/* The delivery that begins with recipient `first` takes along all with the same gate that fit; `ways` says who is left. */
static struct lease *gather(struct message *m, size_t first, struct gate **ways, bool *taken)
{
	struct gate *g = ways[first];
	struct lease *l = lease_new(m, g);
	size_t bytes = fixed_bytes(&m->due, g);

	l->recipients = ARENA_ARRAY(&m->arena, struct due_recipient, DELIVERY_RECIPIENTS_MAX);
	for (size_t i = first; i < m->due.recipients_n && l->recipients_n < DELIVERY_RECIPIENTS_MAX; i++) {
		size_t more = encoded_bytes(&m->due.recipients[i]);

		if (taken[i] || ways[i] != g)
			continue;
		if (l->recipients_n > 0 && bytes + more > IPC_DATAGRAM_MAX)
			continue;
		l->recipients[l->recipients_n++] = m->due.recipients[i];
		bytes += more;
		taken[i] = true;
	}
	return l;
}

void message_dispatch(struct message *m)
{
	size_t n = m->due.recipients_n;
	struct gate **ways = ARENA_ARRAY(&m->arena, struct gate *, n + 1);
	struct verdict *whys = ARENA_ARRAY(&m->arena, struct verdict, n + 1);
	bool *taken = ARENA_ARRAY(&m->arena, bool, n + 1);

	find_ways(m, ways, whys);
	for (size_t i = 0; i < n; i++) {
		struct lease *l;

		if (taken[i])
			continue;
		if (ways[i]) {
			park(gather(m, i, ways, taken));
			continue;
		}
		l = lease_new(m, NULL);
		l->recipients = &m->due.recipients[i];
		l->recipients_n = 1;
		outcome_no_route(l, whys[i]);
	}
	message_release(m);
}
