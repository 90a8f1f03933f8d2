/* intake.c - partial transactions and their acceptance. */
#include "intake/intake_private.h"
#include "report/dsn_rules.h"

#include "posthouse/clock.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

/* The most that one channel can hold before it is closed: far more than a submission process that follows its credit needs. */
#define TRANSACTIONS_MAX 20000
#define BYTES_MAX        (256 * MIB)
#define RECIPIENTS_MAX   10000 /* the most that the configuration allows; it can have changed since the client named them */
#define ADDRESSES_MAX    (16 * MIB)
#define RECEIVED_MAX     4096
#define CLOCK_LOG_MS     60000

/* The clock of a machine without a battery starts in 1970. Mail is accepted only after the time at which this program was
 * written. */
#define CLOCK_EPOCH_MS 1767225600000ull /* 2026-01-01T00:00:00Z */

/* ---- peers and their transactions ---- */

void intake_init(struct intake *in, struct role *r, struct accounting *acc, const struct intake_observer *o)
{
	in->role = r;
	in->accounting = acc;
	in->observer = o;
	list_init(&in->peers);
	list_init(&in->submitted);
}

static struct intake_peer *peer_of(struct intake *in, struct channel *ch)
{
	struct intake_peer *p;

	LIST_EACH (i, &in->peers) {
		p = CONTAINER_OF(i, struct intake_peer, in_peers);
		if (p->channel == ch)
			return p;
	}
	p = NEW(struct intake_peer);
	p->channel = ch;
	p->since = clock_now_ms();
	list_init(&p->transactions);
	list_append(&in->peers, &p->in_peers);
	return p;
}

/* The transaction of this number that is being filled. */
static struct transaction *find(struct intake_peer *p, uint64_t number)
{
	struct hashtable_item *item = hashtable_find(&p->filling, number, NULL);

	return item ? CONTAINER_OF(item, struct transaction, in_filling) : NULL;
}

static struct transaction *transaction_new(struct intake *in, struct intake_peer *p, uint64_t number, uint64_t id)
{
	struct transaction *t = NEW(struct transaction);

	t->intake = in;
	t->peer = p;
	t->number = number;
	t->m.id = id;
	list_init(&t->in_submitted);
	list_append(&p->transactions, &t->in_peer);
	hashtable_add(&p->filling, &t->in_filling, number);
	p->n++;
	return t;
}

static void leave_peer(struct transaction *t)
{
	if (!t->peer)
		return;
	list_remove(&t->in_peer);
	if (!t->accepting)
		hashtable_remove(&t->peer->filling, &t->in_filling);
	t->peer->n--;
	t->peer->bytes -= t->counted;
	t->peer = NULL;
}

void transaction_free(struct transaction *t)
{
	leave_peer(t);
	list_remove(&t->in_submitted);
	arena_fini(&t->arena);
	free(t->recipients);
	free(t);
}

void transaction_drop_file(struct transaction *t)
{
	if (t->spool == SPOOL_CREATED && t->intake->store)
		store_spool_drop(t->intake->store, t->m.id);
}

/* The transaction is abandoned: free it and its file. If the store works on it, the store's callback frees it. */
static void drop(struct transaction *t)
{
	leave_peer(t);
	if (t->accepting || t->spool == SPOOL_CREATING)
		return;
	transaction_drop_file(t);
	transaction_free(t);
}

static void peer_free(struct intake_peer *p)
{
	LIST_EACH (i, &p->transactions)
		drop(CONTAINER_OF(i, struct transaction, in_peer));
	hashtable_fini(&p->filling);
	list_remove(&p->in_peers);
	free(p);
}

void intake_peer_gone(struct intake *in, const struct channel *ch)
{
	LIST_EACH_OF (struct intake_peer, p, &in->peers, in_peers)
		if (p->channel == ch)
			peer_free(p);
}

void intake_fini(struct intake *in)
{
	LIST_EACH (i, &in->peers)
		peer_free(CONTAINER_OF(i, struct intake_peer, in_peers));
}

/* Count the memory of the transaction. A peer above the bounds ignores its credit, and is closed. */
static bool within_bounds(struct transaction *t)
{
	size_t bytes = t->arena.used_bytes + t->capacity * sizeof(*t->recipients);
	struct intake_peer *p = t->peer;

	p->bytes += bytes - t->counted;
	t->counted = bytes;
	if (p->n <= TRANSACTIONS_MAX && p->bytes <= BYTES_MAX && t->addresses_bytes <= ADDRESSES_MAX)
		return true;
	channel_exceeded(p->channel, "partial transactions pass their bounds");
	return false;
}

/* ---- can mail come in? ---- */

static struct verdict may_accept(struct intake *in)
{
	if (in->without_room)
		return temp(452, S("4.3.1"), S("no room to store mail, try again later"));
	if (!in->store)
		return temp(451, S("4.3.0"), S("queue unavailable, try again"));
	if (in->stopping || role_stopping(in->role))
		return temp(451, S("4.3.2"), S("the relay is being stopped, try again"));
	if (clock_now_ms() >= CLOCK_EPOCH_MS)
		return ok();
	if (in->clock_logged_at == 0 || clock_mono_ms() - in->clock_logged_at >= CLOCK_LOG_MS) {
		in->clock_logged_at = clock_mono_ms();
		log_error(NULL, "clock.doubted", kv("now_ms", clock_now_ms()));
	}
	return temp(451, S("4.3.0"), S("the relay's clock is not set, try again"));
}

struct verdict intake_takes_mail(struct intake *in)
{
	struct verdict v = may_accept(in);
	struct store_stats stats = { 0 };

	if (in->node_state == NODE_AWAY)
		return temp(451, S("4.3.0"),
			    in->node_fault.n > 0 ? in->node_fault : S("the database cannot be reached (store.away in the log)"));
	if (v.class != OK)
		return v;
	if (in->node_state == NODE_DRAINING)
		return temp(421, S("4.3.2"), S("this node is being drained (posthouse node)"));
	store_stats(in->store, &stats);
	if (stats.lost)
		return temp(451, S("4.3.0"), S("the queue's files were removed or replaced (store.lost in the log)"));
	if (stats.full)
		return temp(452, S("4.3.1"), S("there is no room on the disk of state_dir (queue.min_free)"));
	if (stats.open_messages >= role_config(in->role)->queue.max_messages)
		return temp(452, S("4.3.1"), S("the queue has as many messages as queue.max_messages allows"));
	return ok();
}

/* ---- the file of a large message ---- */

static void on_created(void *ctx, struct verdict v, int fd)
{
	struct transaction *t = ctx;
	struct intake *in = t->intake;

	in->accepting--;
	t->spool = v.class == OK && fd >= 0 ? SPOOL_CREATED : SPOOL_NONE;
	if (v.class == OK && fd < 0)
		v = temp(451, S("4.3.0"), S("queue unavailable, try again"));
	if (t->peer)
		ipc_send_spool_opened(t->peer->channel, &(struct msg_spool_opened){ .call = t->spool_call, .verdict = v }, fd);
	if (fd >= 0)
		close(fd);
	/* Without a file there is no transaction: the sender says so to its client. */
	if (!t->peer || (t->spool == SPOOL_NONE && !t->has_envelope))
		drop(t);
	in->observer->idle(in->observer->ctx);
}

void intake_spool_open(struct intake *in, struct channel *ch, const struct msg_spool_open *m)
{
	struct verdict v = may_accept(in);
	struct transaction *t;

	if (v.class != OK) {
		ipc_send_spool_opened(ch, &(struct msg_spool_opened){ .call = m->call, .verdict = v }, -1);
		return;
	}
	if (!intake_id_is_allowed(ch, m->id) || find(peer_of(in, ch), m->transaction)) {
		channel_close(ch, "spool_open without an id of its own, or twice");
		return;
	}
	t = transaction_new(in, peer_of(in, ch), m->transaction, m->id);
	t->spool = SPOOL_CREATING;
	t->spool_call = m->call;
	in->accepting++;
	store_spool_create(in->store, t->m.id, m->size_hint, on_created, t);
	within_bounds(t);
}

/* ---- filling ---- */

bool intake_envelope_is_allowed(const struct envelope *e)
{
#define FIELD_str(name, most)                 &&intake_text_is_allowed(e->name)
#define FIELD_u64(name, most)                 &&e->name <= (most)
#define FIELD(type, name, stored, seen, most) FIELD_##type(name, most)
	return (e->deliver_by_mode & ~(uint64_t)BY_TRACE) <= BY_NOTIFY ENVELOPE_FIELDS(FIELD);
#undef FIELD
}

void intake_envelope(struct intake *in, struct channel *ch, const struct msg_envelope *m)
{
	struct transaction *t = find(peer_of(in, ch), m->transaction);
	struct arena *a;

	if (!intake_id_is_allowed(ch, m->id) || !intake_envelope_is_allowed(&m->envelope) ||
	    (t && (t->has_envelope || t->m.id != m->id))) {
		channel_close(ch, "an envelope that is not allowed");
		return;
	}
	if (!t)
		t = transaction_new(in, peer_of(in, ch), m->transaction, m->id);
	a = &t->arena;
	t->has_envelope = true;
	t->m.token = m->token;
	t->m.kind = KIND_MAIL;
	t->log = (struct log){ .session = m->session, .message = m->id };
	t->m.origin = arena_str(a, m->origin);
	t->m.envelope = m->envelope;
	envelope_keep(a, &t->m.envelope);
	within_bounds(t);
}

void intake_recipients(struct intake *in, struct channel *ch, const struct msg_recipients *m)
{
	struct transaction *t = find(peer_of(in, ch), m->transaction);

	if (!t || !t->has_envelope) /* `submit` gets the answer */
		return;
	if (t->m.recipients_n + m->recipients.n > RECIPIENTS_MAX || !intake_recipients_are_allowed(m)) {
		channel_close(ch, "recipients that a message cannot have");
		return;
	}
	for (size_t i = 0; i < m->recipients.n; i++) {
		const struct rec_recipient *r = &m->recipients.at[i];

		ARRAY_GROW(t->recipients, t->m.recipients_n, t->capacity);
		t->recipients[t->m.recipients_n++] = (struct new_recipient){
			.address = arena_str(&t->arena, r->address),
			.orcpt = arena_str(&t->arena, r->orcpt),
			.notify = (unsigned)r->notify,
		};
		t->addresses_bytes += r->address.n + r->orcpt.n;
	}
	within_bounds(t);
}

void intake_abandon_transaction(struct intake *in, struct channel *ch, const struct msg_abandon_transaction *m)
{
	struct transaction *t = find(peer_of(in, ch), m->transaction);

	reservation_end(in->accounting, ch, m->transaction);
	if (t)
		drop(t);
}

/* ---- accepting ---- */

static void answer_submit(struct channel *ch, uint64_t call, struct verdict v)
{
	ipc_send_submitted(ch, &(struct msg_submitted){ .call = call, .verdict = v }, -1);
}

void transaction_answer(struct transaction *t, struct verdict v)
{
	if (t->peer)
		answer_submit(t->peer->channel, t->submit_call, v);
}

/* Is the message complete, and do its parts fit? */
static bool is_whole(const struct transaction *t, const struct msg_submit *m)
{
	if (t->m.recipients_n == 0 || m->header_size > m->size || t->spool == SPOOL_CREATING)
		return false;
	if (m->from.n == 0 || m->from.n > AUTHORS_MAX || m->resenders.n > AUTHORS_MAX || m->to_sign.n > DKIM_KEYS_MAX)
		return false;
	if (m->received.n > RECEIVED_MAX || !field_is_one(m->received, S("Received")) || !str_ends(m->received, S("\r\n")))
		return false;
	if (m->place == PLACE_ROW)
		return m->text.n == m->size && m->size <= INLINE_MAX && t->spool == SPOOL_NONE;
	return m->place == PLACE_FILE && m->text.n == 0;
}

/* Does the sender want to hear of a delay? Without NOTIFY the relay decides (RFC 3461 4.1). */
static bool wants_warning(const struct transaction *t)
{
	if (t->m.envelope.sender.n == 0)
		return false;
	for (size_t i = 0; i < t->m.recipients_n; i++)
		if (report_wanted(KIND_DELAY, t->recipients[i].notify))
			return true;
	return false;
}

/* Set when the message expires, and when its sender is told that it is delayed (0: never). Both count from the time at which
 * it can be delivered. RFC 2852 4.1: by-mode R ends the message at its time, N asks for a report then. */
static void set_times(struct transaction *t, const struct cfg_queue *c)
{
	struct accepted *m = &t->m;
	struct envelope *e = &m->envelope;
	unsigned mode = e->deliver_by_mode & ~(unsigned)BY_TRACE;
	uint64_t from = e->release_at > m->received_at ? e->release_at : m->received_at;

	if (e->release_at <= m->received_at)
		e->release_at = 0;
	m->expires_at = from + c->lifetime_ms;
	if (mode == BY_RETURN && e->deliver_by > 0 && e->deliver_by < m->expires_at)
		m->expires_at = e->deliver_by;
	if (!wants_warning(t))
		return;
	if (mode == BY_NOTIFY && e->deliver_by > 0)
		m->warn_at = e->deliver_by;
	else if (c->warn_after_ms > 0)
		m->warn_at = from + c->warn_after_ms;
}

/* Complete the message for the store. */
static void complete(struct transaction *t, const struct msg_submit *m, const struct config *c)
{
	struct accepted *to = &t->m;

	to->received_at = clock_now_ms();
	set_times(t, &c->queue);
	to->prefix = arena_str(&t->arena, m->received);
	to->text = arena_str(&t->arena, m->text);
	to->place = m->place == PLACE_FILE ? PLACE_FILE : PLACE_ROW;
	to->size = m->size;
	to->header_size = m->header_size;
	to->recipients = t->recipients;
}

void intake_submit(struct intake *in, struct channel *ch, const struct msg_submit *m)
{
	struct verdict v = may_accept(in);
	struct transaction *t = find(peer_of(in, ch), m->transaction);

	if (v.class == OK && (!t || !t->has_envelope))
		v = temp(451, S("4.3.0"), S("the queue does not know the transaction, try again"));
	if (v.class == OK && !is_whole(t, m)) {
		channel_close(ch, "a submit that does not fit its transaction");
		return;
	}
	if (v.class == OK)
		v = judge_sender(t, m);
	if (v.class != OK) {
		answer_submit(ch, m->call, v);
		reservation_end(in->accounting, ch, m->transaction);
		if (t)
			drop(t);
		return;
	}
	complete(t, m, role_config(in->role));
	if (!within_bounds(t))
		return;
	hashtable_remove(&t->peer->filling, &t->in_filling);
	t->accepting = true;
	t->submit_call = m->call;
	in->accepting++;
	list_append(&in->submitted, &t->in_submitted);
	authorize(t);
}
