/* lease.c - the life of a delivery within the queue: split, park, send, give back, withdraw. */
#include "queue.h"

#include "posthouse/clock.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#define LOST_DELAY_MS 2000  /* so long after relay's end a `stop` of ours may come, at most */
#define FULL_DELAY_MS 10000 /* what a full gate does not take waits so long */

static const char *const state_names[] = { "new", "parked", "opening", "sent", "lost", "settling" };

static void on_lost_timer(uv_timer_t *t)
{
	leases_settle_lost(t->data, true);
}

void lease_table_init(struct queue *q)
{
	list_init(&q->leases.all);
	/* No number of an earlier queue comes again: a late `settled` or result can only be unknown. */
	q->leases.next_number = (role_incarnation(q->role) << 40) + 1;
	queue_timer_init(q, &q->leases.lost);
}

/* ---- messages ---- */

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

static void message_release(struct message *m)
{
	assert(m->leases > 0);
	if (--m->leases > 0)
		return;
	arena_fini(&m->arena);
	free(m);
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
	log_debug(&log, "delivery.moved", kv("lease", l->number), kv("from", state_names[l->state]), kv("to", state_names[state]));
	if (l->gate && takes_slot(l))
		l->gate->in_flight--;
	if (l->gate && l->state == LEASE_PARKED)
		l->gate->parked_n--;
	list_remove(&l->in_list);
	l->state = state;
	if (l->gate && takes_slot(l))
		l->gate->in_flight++;
	if (state == LEASE_PARKED) {
		l->gate->parked_n++;
		list_append(&l->gate->parked, &l->in_list);
	} else {
		list_append(&l->message->queue->leases.all, &l->in_list);
	}
}

static struct lease *lease_new(struct message *m, struct gate *g)
{
	struct lease *l = NEW(struct lease);

	l->message = m;
	l->gate = g;
	l->number = m->queue->leases.next_number++;
	list_init(&l->in_list);
	m->leases++;
	m->queue->leases.count++;
	return l;
}

void lease_free(struct lease *l)
{
	list_remove(&l->in_list);
	l->message->queue->leases.count--;
	message_release(l->message);
	free(l);
}

void leases_drop(struct queue *q)
{
	LIST_EACH(i, &q->leases.all)
		lease_free(CONTAINER_OF(i, struct lease, in_list));
}

struct lease *lease_find(struct queue *q, uint64_t number)
{
	LIST_EACH(i, &q->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		if (l->number == number)
			return l;
	}
	return NULL;
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

static size_t delivery_bytes(const struct lease *l)
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

/* ---- sending ---- */

static void send_delivery(struct lease *l, int fd)
{
	struct queue *q = l->message->queue;
	const struct due_message *due = &l->message->due;
	struct rec_recipient *list = ARENA_ARRAY(&l->message->arena, struct rec_recipient, l->recipients_n);
	struct msg_deliver m = {
		.lease = l->number,
		.id = due->id,
		.sender = due->sender,
		.envid = due->envid,
		.ret = due->ret,
		.body = due->body,
		.utf8 = due->utf8,
		.options = due->options,
		.upstream = str_from(str_of(l->gate->name), strlen("upstream:")),
		.size = due->size,
		.prefix = due->prefix,
		.text = due->place == PLACE_FILE ? S("") : due->text,
	};

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
	if (ipc_send_deliver(q->relay, &m, fd)) {
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
	struct queue *q = l->message->queue;

	assert(l->state == LEASE_OPENING);
	if (v.class != OK || fd < 0) {
		outcome_no_text(l, v);
	} else if (!q->relay || q->stopping || l->gate->status == GATE_DOWN) {
		outcome_return(l, clock_now_ms());
	} else {
		send_delivery(l, fd);
	}
	if (fd >= 0)
		close(fd);
	scheduler_wake(q);
}

/* Send what one gate may send; false when relay's channel has no credit left. */
static bool send_parked(struct queue *q, struct gate *g)
{
	while (gate_slots(g) > 0 && !list_empty(&g->parked)) {
		struct lease *l = CONTAINER_OF(list_first(&g->parked), struct lease, in_list);

		if (!channel_has_credit(q->relay))
			return false;
		if (l->message->due.place != PLACE_FILE) {
			send_delivery(l, -1);
			continue;
		}
		lease_enter(l, LEASE_OPENING);
		store_text(q->store, l->message->due.id, on_file, l);
	}
	return true;
}

void leases_send(struct queue *q)
{
	if (!q->relay || !queue_may_store(q) || q->stopping)
		return;
	LIST_EACH(i, &q->gates.all)
		if (!send_parked(q, CONTAINER_OF(i, struct gate, in_gates))) {
			scheduler_wait_credit(q);
			return;
		}
}

/* ---- giving back ---- */

void leases_return_gate(struct gate *g)
{
	LIST_EACH(i, &g->parked)
		outcome_return(CONTAINER_OF(i, struct lease, in_list), clock_now_ms());
}

void leases_return_parked(struct queue *q)
{
	LIST_EACH(i, &q->gates.all)
		leases_return_gate(CONTAINER_OF(i, struct gate, in_gates));
}

void leases_relay_gone(struct queue *q)
{
	size_t lost = 0;

	LIST_EACH(i, &q->leases.all) {
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
	if (q->stopping)
		leases_settle_lost(q, false);
	else
		uv_timer_start(&q->leases.lost, on_lost_timer, LOST_DELAY_MS, 0);
}

void leases_settle_lost(struct queue *q, bool died)
{
	uv_timer_stop(&q->leases.lost);
	LIST_EACH(i, &q->leases.all) {
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
		struct str domain = str_from(address, str_rfind(address, '@') + 1);

		if ((s->recipient.n == 0 || str_ieq(s->recipient, address)) &&
		    (s->destination.n == 0 || str_ieq(s->destination, domain)))
			return true;
	}
	return false;
}

void leases_withdraw(struct queue *q, const struct selector *s)
{
	LIST_EACH(i, &q->gates.all) {
		struct gate *g = CONTAINER_OF(i, struct gate, in_gates);

		LIST_EACH(k, &g->parked) {
			struct lease *l = CONTAINER_OF(k, struct lease, in_list);

			if (selects(s, l))
				outcome_return(l, clock_now_ms());
		}
	}
	LIST_EACH(i, &q->leases.all) {
		struct lease *l = CONTAINER_OF(i, struct lease, in_list);

		if (l->state != LEASE_SENT || l->withdrawn || !selects(s, l))
			continue;
		l->withdrawn = true;
		ipc_send_withdraw(q->relay, &(struct msg_withdraw){ .lease = l->number }, -1);
	}
}
