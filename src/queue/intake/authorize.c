/* authorize.c - is a message allowed? In the order of the steps: authorize (when limits are known), look_up (was it stored
 * before?), count_new (recipients), decide (limits, breaker), sign (signing.c), give_to_store, on_accepted. Whose message it
 * is: senders.c. */
#include "intake/intake_private.h"
#include "common/event_fields.h"
#include "common/route.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"
#include "posthouse/smtp_server.h"

#define OVERS_MAX 3 /* charges that other nodes were faster with, until the message is refused */

static void look_up(struct transaction *t);
static void on_looked_up(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n,
			 uint64_t next_cursor);
static void count_new(struct transaction *t);
static void on_known(void *ctx, struct verdict v, const bool *known, size_t n);
static void decide(struct transaction *t, uint64_t new_recipients);
static void sign(struct transaction *t);
static void give_to_store(struct transaction *t);
static void on_accepted(void *ctx, struct verdict v);

/* Refuse the message and forget it. */
static void refuse(struct transaction *t, struct verdict v)
{
	struct intake *in = t->intake;

	in->accepting--;
	if (t->peer)
		reservation_end(in->accounting, t->peer->channel, t->number);
	quota_give_back(&t->quota);
	transaction_answer(t, v);
	transaction_drop_file(t);
	transaction_free(t);
	in->observer->idle(in->observer->ctx);
}

void authorize(struct transaction *t)
{
	struct intake *in = t->intake;

	if (!accounting_is_ready(in->accounting)) {
		t->progress = WAITS_FOR_START;
		if (accounting_is_unreadable(in->accounting))
			refuse(t, temp(451, S("4.3.0"), S("what was sent before cannot be read now, try again")));
		return;
	}
	quota_init(&t->quota, in->accounting, t->m.envelope.login, t->m.device);
	if (t->quota.account && t->peer && id_time_ms(t->m.id) <= t->peer->since) {
		look_up(t);
		return;
	}
	count_new(t);
}

void intake_resume(struct intake *in)
{
	LIST_EACH_OF (struct transaction, t, &in->submitted, in_submitted)
		if (t->progress == WAITS_FOR_START)
			authorize(t);
}

void intake_close(struct intake *in)
{
	LIST_EACH_OF (struct transaction, t, &in->submitted, in_submitted)
		if (t->progress == WAITS_FOR_START || t->progress == IS_SIGNED) {
			signing_cancel(t);
			refuse(t, temp(451, S("4.3.2"), S("the relay is being stopped, try again")));
		}
	in->store = NULL;
}

/* A message that was submitted before, to a queue that died or over a channel that closed, can be stored and charged already:
 * then it must neither be refused nor charged again. */
static void look_up(struct transaction *t)
{
	struct intake *in = t->intake;

	LIST_EACH_OF (const struct transaction, other, &in->submitted, in_submitted) {
		if (other != t && other->m.id == t->m.id) {
			sign(t); /* it can be the first of the two in the store */
			return;
		}
	}
	t->progress = IS_LOOKED_UP;
	store_show_patiently(in->store, t->m.id, on_looked_up, t);
}

static void on_looked_up(void *ctx, struct verdict v, const struct message_row *m, const struct recipient_row *rows, size_t n,
			 uint64_t next_cursor)
{
	struct transaction *t = ctx;

	if (v.class == TEMP)
		refuse(t, temp(451, S("4.3.0"), S("queue unavailable, try again")));
	else if (v.class == OK)
		give_to_store(t);
	else
		count_new(t);
}

/* How many recipients are new to the login? */
static void count_new(struct transaction *t)
{
	struct intake *in = t->intake;
	uint64_t now = clock_now_ms();

	t->progress = IS_COUNTED;
	if (quota_counts_new(&t->quota)) {
		t->unseen = ARENA_ARRAY(&t->arena, struct str, t->m.recipients_n);
		for (size_t i = 0; i < t->m.recipients_n; i++)
			if (!seen_recipient(&in->accounting->seen_recipients, t->m.envelope.login, t->recipients[i].address, now))
				t->unseen[t->unseen_n++] = t->recipients[i].address;
	}
	t->m.remember = t->unseen_n > 0;
	if (t->unseen_n == 0)
		decide(t, 0);
	else if (in->store)
		store_known_patiently(in->store, t->m.envelope.login, t->unseen, t->unseen_n, on_known, t);
	else
		refuse(t, temp(451, S("4.3.0"), S("queue unavailable, try again")));
}

static void on_known(void *ctx, struct verdict v, const bool *known, size_t n)
{
	struct transaction *t = ctx;
	uint64_t new_ones = 0;

	if (v.class != OK) {
		refuse(t, temp(451, S("4.3.0"), S("queue unavailable, try again")));
		return;
	}
	for (size_t i = 0; i < n; i++)
		new_ones += !known[i];
	decide(t, new_ones);
}

/* A message that no upstream of any of its recipients takes is refused at once. One that some of them cannot get is accepted: a
 * report tells the sender about these. */
static struct verdict check_size(struct transaction *t)
{
	uint64_t size = t->m.prefix.n + signing_room(t) + t->m.size, most = 0;

	for (size_t i = 0; i < t->m.recipients_n; i++) {
		uint64_t this_one = route_message_size(role_config(t->intake->role), &t->m.envelope, t->recipients[i].address);

		if (this_one >= size)
			return ok();
		most = this_one > most ? this_one : most;
	}
	return perm(552, S("5.3.4"),
		    arena_printf(&t->arena, "The message is larger than the %llu bytes that the next server takes",
				 (unsigned long long)most));
}

static struct amounts amounts_of(const struct transaction *t)
{
	return (struct amounts){ .of = { [METER_MESSAGES] = 1,
					 [METER_RECIPIENTS] = t->m.recipients_n,
					 [METER_BYTES] = t->m.size,
					 [METER_NEW] = t->new_recipients } };
}

static void decide(struct transaction *t, uint64_t new_recipients)
{
	struct intake *in = t->intake;
	struct amounts amounts;
	struct verdict v;

	t->new_recipients = new_recipients;
	amounts = amounts_of(t);

	if (t->peer)
		reservation_end(in->accounting, t->peer->channel, t->number);
	v = check_size(t);
	if (v.class == OK)
		v = quota_charge(&t->quota, &t->arena, &t->m, &amounts);
	if (v.class != OK)
		refuse(t, v);
	else
		sign(t);
}

static void on_signed(struct transaction *t, struct verdict v)
{
	if (v.class != OK)
		refuse(t, v);
	else
		give_to_store(t);
}

static void sign(struct transaction *t)
{
	t->progress = IS_SIGNED;
	signing_start(t, on_signed);
}

/* The first event of the message's history. */
static void write_event(struct transaction *t)
{
	struct accepted *m = &t->m;
	struct arena *a = &t->arena;

	m->event = FIELDS(a, kv("login", m->envelope.login), kv("device", m->device), kv("origin", m->origin),
			  kv("sender", m->envelope.sender), kv("recipients", m->recipients_n), kv("size_bytes", m->size),
			  kv("sign_domain", m->envelope.sign_domain),
			  kv("tls_wish", tls_wish_word(tls_wish_of(m->envelope.options, m->envelope.sender))),
			  kv("release_at", m->envelope.release_at ? format_time(a, m->envelope.release_at) : S("")),
			  kv("held", m->held));
}

static void give_to_store(struct transaction *t)
{
	struct intake *in = t->intake;

	if (!in->store) {
		refuse(t, temp(451, S("4.3.0"), S("queue unavailable, try again")));
		return;
	}
	t->progress = IS_STORED;
	write_event(t);
	crash_point("queue.before_accept");
	store_accept(in->store, &t->m, on_accepted, t);
}

/* The charges are kept, unless nothing was stored now: the store failed, or it had the message already (250). */
static void settle_charges(struct transaction *t, struct verdict v)
{
	if (v.class != OK || v.code == 250) {
		quota_give_back(&t->quota);
		return;
	}
	for (size_t i = 0; i < t->unseen_n; i++)
		seen_recipients_add(&t->intake->accounting->seen_recipients, t->m.envelope.login, t->unseen[i], clock_now_ms());
	quota_keep(&t->quota);
}

/* Other nodes have charged so much that the message is over a limit: it is refused, or held, as if this had been known. */
static void decide_again(struct transaction *t)
{
	struct amounts amounts = amounts_of(t);
	struct verdict v = quota_charge_again(&t->quota, &t->arena, &t->m, &amounts);

	if (v.class != OK)
		refuse(t, v);
	else
		give_to_store(t);
}

static void on_accepted(void *ctx, struct verdict v)
{
	struct transaction *t = ctx;
	struct intake *in = t->intake;
	bool urgent = t->m.envelope.priority > PRIORITY_NORMAL;

	if (store_is_over(v) && ++t->overs < OVERS_MAX) {
		decide_again(t);
		return;
	}
	in->accepting--;
	crash_point("queue.after_accept");
	settle_charges(t, v);
	transaction_answer(t, v);
	if (v.class != OK)
		transaction_drop_file(t);
	transaction_free(t);
	if (v.class == OK)
		in->observer->message_stored(in->observer->ctx, urgent);
	in->observer->idle(in->observer->ctx);
}
