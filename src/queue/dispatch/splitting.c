/* splitting.c - how the recipients of a message are divided into deliveries. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"

#define FULL_DELAY_MS  10000 /* what a full gate does not take waits so long */
#define HOSTS_DELAY_MS 1000  /* … and so long what goes to a domain whose mail servers are not known */

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
	l->charge = limits_charge(l->gate);
	lease_enter(l, LEASE_PARKED);
}

/* The delivery that begins with recipient `first` takes along all that go the same way and fit; `taken` says who is left. */
static struct lease *gather(struct message *m, size_t first, const struct way *ways, bool *taken)
{
	struct lease *l = lease_new(m, ways[first].gate);
	size_t bytes = delivery_fixed_bytes(l);

	l->recipients = ARENA_ARRAY(&m->arena, struct due_recipient, DELIVERY_RECIPIENTS_MAX);
	for (size_t i = first; i < m->due.recipients_n && l->recipients_n < DELIVERY_RECIPIENTS_MAX; i++) {
		size_t more = recipient_bytes(&m->due.recipients[i]);

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
