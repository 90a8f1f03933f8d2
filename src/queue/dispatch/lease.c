/* lease.c - the life of a delivery within the queue: split, park, send, give back, withdraw. */
#include "dispatch/dispatch.h"
#include "common/dsn_form.h"

#include "posthouse/address.h"
#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define LOST_DELAY_MS 2000 /* so long after relay's end a `stop` of ours may come, at most */
#define LEASED_MAX    1000
#define LEASED_BYTES  (16 * MIB)

static const char *const state_names[] = { "new", "parked", "opening", "sent", "lost", "settling" };

static void on_lost_timer(uv_timer_t *t)
{
	leases_settle_lost(t->data, true);
}

void lease_table_init(struct dispatch *d)
{
	list_init(&d->leases.all);
	/* No number of an earlier queue comes again: a late `settled` or result can only be unknown. */
	d->leases.next_number = (role_incarnation(d->role) << 40) + 1;
	timers_add(d->timers, &d->leases.lost, d);
}

size_t leases_free(const struct dispatch *d)
{
	size_t by_count = d->leases.count < LEASED_MAX ? LEASED_MAX - d->leases.count : 0;
	size_t by_bytes = d->leases.bytes < LEASED_BYTES ? (LEASED_BYTES - d->leases.bytes) / INLINE_MAX : 0;

	return by_count < by_bytes ? by_count : by_bytes;
}

size_t leases_left(const struct dispatch *d)
{
	size_t unused = leases_free(d);

	return d->scheduler.asking > 0 && d->scheduler.room < unused ? d->scheduler.room : unused;
}

/* ---- states ---- */

static bool may_enter(enum lease_state from, enum lease_state to)
{
	switch (from) {
	case LEASE_NEW: return to == LEASE_PARKED || to == LEASE_SETTLING;
	case LEASE_PARKED: return to == LEASE_OPENING || to == LEASE_SENT || to == LEASE_SETTLING;
	case LEASE_OPENING: return to == LEASE_PARKED || to == LEASE_SENT || to == LEASE_SETTLING;
	case LEASE_SENT: return to == LEASE_LOST || to == LEASE_SETTLING;
	case LEASE_LOST: return to == LEASE_SETTLING;
	case LEASE_SETTLING: return false;
	}
	return false;
}

static bool takes_slot(const struct lease *l)
{
	return l->state == LEASE_OPENING || l->state == LEASE_SENT;
}

void lease_enter(struct lease *l, enum lease_state state)
{
	struct log log = { .message = l->message->due.id };

	assert(may_enter(l->state, state));
	log_debug(&log, "delivery.moved", kv("lease", l->number), kv("from", state_names[l->state]),
		  kv("to", state_names[state]));
	if (l->gate && takes_slot(l))
		l->gate->in_flight--;
	if (l->state == LEASE_PARKED && --l->gate->parked_n == 0)
		list_remove(&l->gate->in_ready);
	list_remove(&l->in_list);
	l->state = state;
	if (l->gate && takes_slot(l))
		l->gate->in_flight++;
	if (state == LEASE_PARKED) {
		if (l->gate->parked_n++ == 0)
			list_append(&l->message->dispatch->gates.ready, &l->gate->in_ready);
		list_append(&l->gate->parked, &l->in_list);
	} else {
		list_append(&l->message->dispatch->leases.all, &l->in_list);
	}
}

struct lease *lease_new(struct message *m, struct gate *g)
{
	struct lease *l = NEW(struct lease);

	l->message = m;
	l->gate = g;
	l->number = m->dispatch->leases.next_number++;
	list_init(&l->in_list);
	m->leases++;
	m->dispatch->leases.count++;
	if (g) {
		g->leases++;
		gate_place(g);
	}
	return l;
}

void lease_free(struct lease *l)
{
	list_remove(&l->in_list);
	l->message->dispatch->leases.count--;
	if (l->gate) {
		l->gate->leases--;
		gate_place(l->gate);
	}
	message_release(l->message);
	free(l);
}

void leases_drop(struct dispatch *d)
{
	LIST_EACH (i, &d->leases.all)
		lease_free(CONTAINER_OF(i, struct lease, in_list));
}

struct lease *lease_find(struct dispatch *d, uint64_t number)
{
	LIST_EACH (i, &d->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		if (l->number == number)
			return l;
	}
	return NULL;
}

/* ---- sending ---- */

/* Reports and notices have the null sender, but where an upstream refuses that. */
static struct str sender_for(const struct lease *l)
{
	const struct config *c = role_config(l->message->dispatch->role);
	const struct due_message *due = &l->message->due;

	if (due->kind == KIND_MAIL || due->sender.n > 0 || l->gate->is_mx)
		return due->sender;
	return report_sender(c, route_upstream(c, str_from(str_of(l->gate->name), strlen("upstream:"))));
}

static void send_delivery(struct lease *l, int fd)
{
	struct dispatch *d = l->message->dispatch;
	const struct due_message *due = &l->message->due;
	struct rec_recipient *list = ARENA_ARRAY(&l->message->arena, struct rec_recipient, l->recipients_n);
	struct msg_deliver m = {
		.lease = l->number,
		.id = due->id,
		.sender = sender_for(l),
		.envid = due->envid,
		.ret = due->ret,
		.body = due->body,
		.utf8 = due->utf8,
		.options = due->options,
		.deliver_by = due->deliver_by,
		.deliver_by_mode = due->deliver_by_mode,
		.priority = due->priority,
		.route = str_of(l->gate->name),
		.sign_domain = due->sign_domain,
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
		outcome_return(l, l->sent_at); /* the channel is closing: relay's end will be said in a moment */
}

static void on_file(void *ctx, struct verdict v, struct str bytes, int fd)
{
	struct lease *l = ctx;
	struct dispatch *d = l->message->dispatch;

	assert(l->state == LEASE_OPENING);
	if (v.class != OK || fd < 0) {
		outcome_no_text(l, v);
	} else if (!d->relay || d->stopping || l->gate->status == GATE_DOWN) {
		outcome_return(l, clock_now_ms());
	} else {
		send_delivery(l, fd);
	}
	if (fd >= 0)
		close(fd);
	scheduler_wake(d);
}

/* Send what one gate may send; false when relay's channel has no credit left. */
static bool send_parked(struct dispatch *d, struct gate *g)
{
	while (gate_slots(g) > 0 && !list_empty(&g->parked)) {
		struct lease *l = CONTAINER_OF(list_first(&g->parked), struct lease, in_list);

		if (!limits_durable(l)) /* it comes back here when it is */
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
	return true;
}

void leases_send(struct dispatch *d)
{
	if (!d->relay || !dispatch_may_store(d) || d->stopping)
		return;
	LIST_EACH (i, &d->gates.ready)
		if (!send_parked(d, CONTAINER_OF(i, struct gate, in_ready))) {
			scheduler_wait_credit(d);
			return;
		}
}

/* ---- giving back ---- */

void leases_return_gate(struct gate *g)
{
	LIST_EACH (i, &g->parked)
		outcome_return(CONTAINER_OF(i, struct lease, in_list), clock_now_ms());
}

void leases_return_parked(struct dispatch *d)
{
	LIST_EACH (i, &d->gates.ready)
		leases_return_gate(CONTAINER_OF(i, struct gate, in_ready));
}

void leases_relay_gone(struct dispatch *d)
{
	size_t lost = 0;

	LIST_EACH (i, &d->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		if (l->state == LEASE_SETTLING)
			l->tell_relay = false;
		if (l->state != LEASE_SENT)
			continue;
		lease_enter(l, LEASE_LOST);
		lost++;
	}
	if (lost == 0)
		return;
	log_warning(NULL, "relay.lost", kv("deliveries", lost));
	if (d->stopping)
		leases_settle_lost(d, false);
	else
		uv_timer_start(&d->leases.lost, on_lost_timer, LOST_DELAY_MS, 0);
}

void leases_settle_lost(struct dispatch *d, bool died)
{
	uv_timer_stop(&d->leases.lost);
	LIST_EACH (i, &d->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		if (l->state == LEASE_LOST)
			outcome_lost(l, died);
	}
}

/* ---- withdrawing ---- */

/* As the store selects: whole messages. */
static bool selects(const struct selector *s, const struct lease *l)
{
	const struct due_message *m = &l->message->due;

	if (s->id && s->id != m->id)
		return false;
	if (s->user.n && !str_eq(s->user, m->login))
		return false;
	if (s->sender.n && !str_ieq(s->sender, m->sender))
		return false;
	if (s->older_than_ms && m->received_at + s->older_than_ms > clock_now_ms())
		return false;
	if (s->recipient.n == 0 && s->destination.n == 0)
		return true;
	for (size_t i = 0; i < m->recipients_n; i++) {
		struct str address = m->recipients[i].address;
		struct str domain = address_domain(address);

		if ((s->recipient.n == 0 || str_ieq(s->recipient, address)) &&
		    (s->destination.n == 0 || str_ieq(s->destination, domain)))
			return true;
	}
	return false;
}

void leases_withdraw(struct dispatch *d, const struct selector *s)
{
	LIST_EACH (i, &d->gates.ready) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_ready);

		LIST_EACH (k, &g->parked) {
			struct lease *l = CONTAINER_OF(k, struct lease, in_list);

			if (selects(s, l))
				outcome_return(l, clock_now_ms());
		}
	}
	LIST_EACH (i, &d->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		if (l->state != LEASE_SENT || l->withdrawn || !selects(s, l))
			continue;
		l->withdrawn = true;
		ipc_send_withdraw(d->relay, &(struct msg_withdraw){ .lease = l->number }, -1);
	}
}

void leases_mend(struct dispatch *d, uint64_t now)
{
	LIST_EACH (i, &d->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		l->sent_at = clock_mended(l->sent_at, now, 0);
	}
}
