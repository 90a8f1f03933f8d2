/* splitting.c - how the recipients of a message are divided into deliveries. */
#include "dispatch/dispatch.h"

#include "posthouse/clock.h"

#define FULL_DELAY_MS  10000 /* recipients that a full next hop does not take wait for this time */
#define HOSTS_DELAY_MS 1000  /* … and those of a domain whose mail servers are not known */

/* A choice for each recipient that is not in a delivery. */
static void choose_routes(struct message *m, struct route_choice *choices, const bool *taken)
{
	uint64_t now = clock_now_ms();

	for (size_t i = 0; i < m->due.recipients_n; i++)
		if (!taken[i])
			choices[i] = message_choose(m, &m->due.recipients[i], now);
}

static void park(struct lease *l, struct share *share)
{
	uint64_t now = clock_now_ms();
	const struct dispatch *d = l->message->dispatch;

	/* Relay has gone meanwhile, or the next hop has no place. Then the recipients wait in the store, where they cost
	 * nothing. */
	if (!d->relay || d->stopping) {
		outcome_return(l, now);
		return;
	}
	if (!nexthop_knows_hosts(l->nexthop)) { /* its lane had several possible next hops */
		inquire(l->nexthop);
		outcome_return(l, now + HOSTS_DELAY_MS);
		return;
	}
	if (!nexthop_takes(l->nexthop)) {
		outcome_return(l, now + FULL_DELAY_MS);
		return;
	}
	sender_pause_probe(l->nexthop, l->message->due.envelope.sender, now);
	lease_charge(l, share);
	lease_enter(l, LEASE_PARKED);
}

/* What does not go now is one delivery, however many it will be. */
static size_t most_recipients(const struct nexthop *hop)
{
	return hop && nexthop_takes(hop) ? nexthop_recipients(hop, clock_now_ms()) : DELIVERY_RECIPIENTS_MAX;
}

/* The delivery that begins with recipient `first` takes all recipients with an equal choice that fit; `taken` says which are in a
 * delivery. */
static struct lease *gather(struct message *m, size_t first, const struct route_choice *choices, bool *taken)
{
	struct lease *l = lease_new(m, choices[first].nexthop);
	size_t bytes = delivery_fixed_bytes(l), most = most_recipients(l->nexthop);

	l->recipients = ARENA_ARRAY(&m->arena, struct due_recipient, most);
	for (size_t i = first; i < m->due.recipients_n && l->recipients_n < most; i++) {
		size_t more = recipient_bytes(&m->due.recipients[i]);

		if (taken[i] || (i != first && !route_choices_equal(&choices[i], &choices[first])))
			continue;
		if (l->recipients_n > 0 && bytes + more > IPC_DATAGRAM_MAX)
			continue;
		l->recipients[l->recipients_n++] = m->due.recipients[i];
		bytes += more;
		taken[i] = true;
	}
	return l;
}

void message_dispatch(struct message *m, bool scan_only)
{
	size_t n = m->due.recipients_n;
	struct route_choice *choices = ARENA_ARRAY(&m->arena, struct route_choice, n + 1);
	bool *taken = ARENA_ARRAY(&m->arena, bool, n + 1);

	choose_routes(m, choices, taken);
	for (size_t i = 0; i < n; i++) {
		if (taken[i])
			continue;
		/* The last delivery was perhaps the probe, or the last one that a rate allows. */
		if (choices[i].nexthop && !nexthop_is_open(choices[i].nexthop, clock_now_ms()))
			choose_routes(m, choices, taken);
		if (choices[i].nexthop && scan_only)
			outcome_return(gather(m, i, choices, taken),
				       clock_now_ms()); /* it has just opened; the text was not fetched */
		else if (choices[i].nexthop)
			park(gather(m, i, choices, taken), choices[i].share);
		else if (choices[i].why.class != OK)
			outcome_no_route(gather(m, i, choices, taken), choices[i].why);
		else
			outcome_wait(gather(m, i, choices, taken), &choices[i], scan_only);
	}
	message_release(m);
}
