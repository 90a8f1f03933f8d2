/* message.c - a message of which recipients were leased, and how they are divided into deliveries. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>

#define FULL_DELAY_MS  10000 /* what a full gate does not take waits so long */
#define HOSTS_DELAY_MS 1000  /* … and so long what goes to a domain whose mail servers are not known yet */
#define SENDER_BYTES   400   /* an upstream's report_sender in the place of the null sender */

static void copy_recipients(struct arena *a, struct due_recipient *to, const struct due_recipient *from, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		to[i] = from[i];
		to[i].address = arena_str(a, from[i].address);
		to[i].orcpt = arena_str(a, from[i].orcpt);
	}
}

struct message *message_new(struct dispatch *d, const struct due_message *due)
{
	struct message *m = NEW(struct message);
	struct arena *a = &m->arena;

	list_init(&m->in_fetched);
	m->dispatch = d;
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
	d->leases.bytes += m->due.text.n + m->due.prefix.n;
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
	m->dispatch->leases.bytes -= m->due.text.n + m->due.prefix.n;
	arena_fini(&m->arena);
	free(m);
}

/* ---- splitting ---- */

/* More than the codec can need for one recipient, and for all but the recipients: lengths, numbers, head. */
static size_t encoded_bytes(const struct due_recipient *r)
{
	return 64 + r->address.n + r->orcpt.n;
}

static size_t fixed_bytes(const struct lease *l)
{
	const struct due_message *m = &l->message->due;

	return 512 + SENDER_BYTES + m->sender.n + m->envid.n + m->prefix.n + m->text.n + m->sign_domain.n +
	       (l->gate ? strlen(l->gate->name) : 0);
}

size_t delivery_bytes(const struct lease *l)
{
	size_t bytes = fixed_bytes(l);

	for (size_t i = 0; i < l->recipients_n; i++)
		bytes += encoded_bytes(&l->recipients[i]);
	return bytes;
}

/* A way for each recipient that has not been taken yet. */
static void find_ways(struct message *m, struct way *ways, const bool *taken)
{
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < m->due.recipients_n; i++)
		if (!taken[i])
			ways[i] = way_find(m->dispatch, m->due.login, m->due.sender, m->due.recipients[i].address, now);
}

static void park(struct lease *l)
{
	uint64_t now = clock_now_ms();
	const struct dispatch *d = l->message->dispatch;

	/* Relay has gone meanwhile; or other gates had room, and here it waits in the store, where it costs nothing. */
	if (!d->relay || d->stopping) {
		outcome_return(l, now);
		return;
	}
	if (!gate_knows_hosts(l->gate)) { /* its lanes had several ways */
		inquire(l->gate);
		outcome_return(l, now + HOSTS_DELAY_MS);
		return;
	}
	if (!gate_takes(l->gate)) {
		outcome_return(l, now + FULL_DELAY_MS);
		return;
	}
	pause_probe(l->gate, l->message->due.sender, now);
	limits_charge(l);
	lease_enter(l, LEASE_PARKED);
}

/* The delivery that begins with recipient `first` takes along all that go the same way and fit; `taken` says who is left. */
static struct lease *gather(struct message *m, size_t first, const struct way *ways, bool *taken)
{
	struct lease *l = lease_new(m, ways[first].gate);
	size_t bytes = fixed_bytes(l);

	l->recipients = ARENA_ARRAY(&m->arena, struct due_recipient, DELIVERY_RECIPIENTS_MAX);
	for (size_t i = first; i < m->due.recipients_n && l->recipients_n < DELIVERY_RECIPIENTS_MAX; i++) {
		size_t more = encoded_bytes(&m->due.recipients[i]);

		if (taken[i] || (i != first && !way_equal(&ways[i], &ways[first])))
			continue;
		if (l->recipients_n > 0 && bytes + more > IPC_DATAGRAM_MAX)
			continue;
		l->recipients[l->recipients_n++] = m->due.recipients[i];
		bytes += more;
		taken[i] = true;
	}
	return l;
}

void message_dispatch(struct message *m, bool in_place)
{
	size_t n = m->due.recipients_n;
	struct way *ways = ARENA_ARRAY(&m->arena, struct way, n + 1);
	bool *taken = ARENA_ARRAY(&m->arena, bool, n + 1);

	find_ways(m, ways, taken);
	for (size_t i = 0; i < n; i++) {
		if (taken[i])
			continue;
		/* The last delivery may have been the probe, or the last one that a limit allows. */
		if (ways[i].gate && !gate_is_open(ways[i].gate, clock_now_ms()))
			find_ways(m, ways, taken);
		if (ways[i].gate && in_place)
			outcome_return(gather(m, i, ways, taken),
				       clock_now_ms()); /* it has just opened; the text did not come along */
		else if (ways[i].gate)
			park(gather(m, i, ways, taken));
		else if (ways[i].why.class != OK)
			outcome_no_route(gather(m, i, ways, taken), ways[i].why);
		else
			outcome_wait(gather(m, i, ways, taken), &ways[i], in_place);
	}
	message_release(m);
}
