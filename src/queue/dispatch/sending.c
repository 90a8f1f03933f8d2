/* sending.c - parked deliveries go to relay while there are slots and credit. */
#include "dispatch/dispatch.h"

#include "common/dsn_form.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <unistd.h>

/* Reports and notifications have the null sender, except towards an upstream that refuses it. Another sender can be
 * replaced by the address of the account. */
static struct str sender_for(const struct lease *l)
{
	const struct config *c = role_config(l->message->dispatch->role);
	const struct due_message *due = &l->message->due;

	if (due->envelope.sender.n > 0 && l->from.n > 0)
		return l->from;
	if (due->kind == KIND_MAIL || due->envelope.sender.n > 0 || l->nexthop->is_mx)
		return due->envelope.sender;
	return report_sender(c, config_upstream(c, str_from(str_of(l->nexthop->name), strlen("upstream:"))));
}

static void send_delivery(struct lease *l, int fd)
{
	struct dispatch *d = l->message->dispatch;
	const struct due_message *due = &l->message->due;
	struct rec_recipient *list = ARENA_ARRAY(&l->message->arena, struct rec_recipient, l->recipients_n);
	struct msg_deliver m = {
		.lease = l->number,
		.id = due->id,
		.epoch = due->membership,
		.envelope = due->envelope,
		.route = str_of(l->nexthop->name),
		.size = due->size,
		.header_size = due->header_size,
		.prefix = due->prefix,
		.text = due->place == PLACE_FILE ? S("") : due->text,
	};

	if (due->place != PLACE_FILE && due->text.n != due->size) {
		outcome_no_text(l, perm(554, S("5.3.0"), S("the text is not what was stored")));
		return;
	}
	for (size_t i = 0; i < l->recipients_n; i++)
		list[i] = (struct rec_recipient){
			.n = l->recipients[i].n,
			.address = l->recipients[i].address,
			.orcpt = l->recipients[i].orcpt,
			.notify = l->recipients[i].notify,
		};
	l->from = m.from = arena_str(&l->message->arena, own_address_of(role_config(d->role), m.route));
	m.envelope.sender = sender_for(l);
	m.recipients.at = list;
	m.recipients.n = l->recipients_n;
	l->sent_at = clock_now_ms();
	if (ipc_send_deliver(d->relay, &m, fd)) {
		lease_enter(l, LEASE_SENT);
		return;
	}
	if (delivery_bytes(l) > IPC_DATAGRAM_MAX)
		outcome_no_text(l, perm(554, S("5.3.4"), S("the envelope is too large to be passed on")));
	else
		outcome_return(l, l->sent_at); /* the channel is closing: leases_relay_gone() follows */
}

static void on_file(void *ctx, struct verdict v, struct str bytes, int fd)
{
	struct lease *l = ctx;
	struct dispatch *d = l->message->dispatch;

	assert(l->state == LEASE_OPENING);
	if (v.class != OK || fd < 0) {
		outcome_no_text(l, v);
	} else if (!d->relay || d->stopping || l->nexthop->status == NEXTHOP_DOWN) {
		outcome_return(l, clock_now_ms());
	} else {
		send_delivery(l, fd);
	}
	if (fd >= 0)
		close(fd);
	d->ops->wake(d);
}

static void on_credit(void *ctx)
{
	struct dispatch *d = ctx;

	d->ops->wake(d);
}

/* Go on when relay's channel has credit again. */
static void wait_for_credit(struct dispatch *d)
{
	struct credit_wait *w = &d->leases.credit;

	if (w->ch)
		return;
	w->on_credit = on_credit;
	w->ctx = d;
	channel_wait_credit(d->relay, w);
}

void leases_stop_sending(struct dispatch *d)
{
	channel_stop_waiting(&d->leases.credit);
}

/* Send the deliveries of one next hop while it has slots; false when relay's channel has no credit left. */
static bool send_parked(struct dispatch *d, struct nexthop *hop)
{
	while (nexthop_slots(hop) > 0 && !list_empty(&hop->parked)) {
		struct lease *l = CONTAINER_OF(list_first(&hop->parked), struct lease, in_list);

		if (!nexthop_rate_is_durable(l->nexthop, l->charge)) /* when it is, this is called again */
			return true;
		if (!channel_has_credit(d->relay))
			return false;
		if (l->message->due.place != PLACE_FILE) {
			send_delivery(l, -1);
			continue;
		}
		lease_enter(l, LEASE_OPENING);
		store_text(d->store, l->message->due.id, on_file, l);
	}
	if (!list_empty(&hop->parked))
		allowance_want(hop);
	return true;
}

void leases_send(struct dispatch *d)
{
	if (!d->relay || !dispatch_may_store(d) || d->stopping)
		return;
	LIST_EACH (i, &d->nexthops.ready)
		if (!send_parked(d, CONTAINER_OF(i, struct nexthop, in_ready))) {
			wait_for_credit(d);
			return;
		}
}
