/* reservation.c - reservations. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define BYTES_MAX (1ull << 40)

struct reservation {
	struct hashtable_item in_table;
	struct list in_visitor;
	struct visitor *visitor;
	uint64_t transaction;
	struct amounts amounts;
};

/* The store is asked whether a recipient is a new one. */
struct asking {
	struct list in_asking;
	struct accounting *accounting;
	struct channel *channel; /* NULL: it has closed */
	uint64_t call, session, transaction;
	struct arena arena;
	struct str login, address;
};

/* ---- reservations ---- */

static bool refuses(const struct visitor *v, enum meter_kind kind)
{
	return !v->account->hold && (account_has(v->account, kind) || account_has(v->device, kind));
}

uint64_t reserving(const struct visitor *v)
{
	bool message = refuses(v, METER_MESSAGES) || refuses(v, METER_BYTES);
	bool recipient = refuses(v, METER_RECIPIENTS) || refuses(v, METER_NEW);

	return (message ? 1 : 0) | (recipient ? 2 : 0);
}

static struct reservation *find(struct accounting *acc, const struct admission_peer *p, uint64_t transaction)
{
	struct hashtable *t = &acc->admission.reservations;
	uint64_t hash = hash_numbers((uintptr_t)p, transaction);

	HASHTABLE_FIND (i, t, hash) {
		struct reservation *r = CONTAINER_OF(i, struct reservation, in_table);

		if (r->visitor->peer == p && r->transaction == transaction)
			return r;
	}
	return NULL;
}

/* Add to what is reserved, or take away. */
static void count(struct account *a, const struct amounts *amounts, bool add)
{
	for (int kind = 0; a && kind < METER_KINDS; kind++)
		a->reserved[kind] += add ? amounts->of[kind] : -amounts->of[kind];
}

static void reservation_free(struct reservation *r)
{
	struct visitor *v = r->visitor;

	count(v->account, &r->amounts, false);
	count(v->device, &r->amounts, false);
	hashtable_remove(&v->accounting->admission.reservations, &r->in_table);
	list_remove(&r->in_visitor);
	free(r);
}

static void add(struct visitor *v, uint64_t transaction, const struct amounts *amounts)
{
	struct reservation *r = find(v->accounting, v->peer, transaction);

	if (!r) {
		r = NEW(struct reservation);
		r->visitor = v;
		r->transaction = transaction;
		list_append(&v->reservations, &r->in_visitor);
		hashtable_add(&v->accounting->admission.reservations, &r->in_table,
			      hash_numbers((uintptr_t)v->peer, transaction));
	}
	for (int kind = 0; kind < METER_KINDS; kind++)
		r->amounts.of[kind] += amounts->of[kind];
	count(v->account, amounts, true);
	count(v->device, amounts, true);
}

void reservation_end(struct accounting *acc, const struct channel *ch, uint64_t transaction)
{
	LIST_EACH (i, &acc->admission.peers) {
		const struct admission_peer *p = CONTAINER_OF(i, struct admission_peer, in_peers);
		struct reservation *r = p->channel == ch ? find(acc, p, transaction) : NULL;

		if (r)
			reservation_free(r);
	}
}

void reservations_drop(struct visitor *v)
{
	LIST_EACH (i, &v->reservations)
		reservation_free(CONTAINER_OF(i, struct reservation, in_visitor));
}

/* ---- the question ---- */

static void answer(struct channel *ch, uint64_t call, struct verdict v)
{
	ipc_send_reserved(ch, &(struct msg_reserved){ .call = call, .verdict = v }, -1);
}

/* The session may be older than the configuration. */
static void refresh(struct visitor *v)
{
	account_refresh(v->account);
	if (v->device)
		account_refresh(v->device);
}

/* All is known: is there room? */
static struct verdict reserve(struct visitor *v, struct arena *a, uint64_t transaction, const struct amounts *amounts)
{
	struct verdict verdict = allowance_check(a, v->account, v->device, amounts);

	if (verdict.class == OK && !v->account->hold)
		add(v, transaction, amounts);
	return verdict;
}

static void on_known(void *ctx, struct verdict verdict, const bool *known, size_t n)
{
	struct asking *ask = ctx;
	struct accounting *acc = ask->accounting;
	struct visitor *v = ask->channel ? visitor_find(acc, ask->channel, ask->session) : NULL;
	struct amounts amounts = { .of = { [METER_RECIPIENTS] = 1 } };

	list_remove(&ask->in_asking);
	if (verdict.class == OK && v && v->account) {
		refresh(v);
		if (n > 0 && known[0])
			acquaint(&acc->acquainted, ask->login, ask->address, clock_now_ms());
		else
			amounts.of[METER_NEW] = 1;
		verdict = reserve(v, &ask->arena, ask->transaction, &amounts);
	}
	answer(ask->channel, ask->call, verdict);
	arena_fini(&ask->arena);
	free(ask);
}

static void ask_store(struct visitor *v, struct channel *ch, const struct msg_reserve *m)
{
	struct accounting *acc = v->accounting;
	struct asking *ask = NEW(struct asking);

	ask->accounting = acc;
	ask->channel = ch;
	ask->call = m->call;
	ask->session = m->session;
	ask->transaction = m->transaction;
	ask->address = arena_str(&ask->arena, m->recipient);
	list_append(&acc->admission.asking, &ask->in_asking);
	ask->login = arena_str(&ask->arena, str_of(v->login));
	store_known(acc->store, ask->login, &ask->address, 1, on_known, ask);
}

/* Does it matter, and is it not known yet, whether this is a new one? */
static bool is_open(const struct visitor *v, struct str recipient)
{
	if (!refuses(v, METER_NEW))
		return false;
	return !acquainted_with(&v->accounting->acquainted, str_of(v->login), recipient, clock_now_ms());
}

void accounting_reserve(struct accounting *acc, struct channel *ch, const struct msg_reserve *m)
{
	struct visitor *v = acc ? visitor_find(acc, ch, m->session) : NULL;
	struct amounts amounts = { .of = { 0 } };
	struct arena a = { 0 };

	if (!acc || !accounting_may_store(acc) || !accounting_is_ready(acc)) {
		answer(ch, m->call, temp(451, S("4.3.0"), S("queue unavailable, try again")));
		return;
	}
	if (!v || !v->account) { /* who is not counted has nothing reserved: `submit` judges all of it */
		answer(ch, m->call, ok());
		return;
	}
	refresh(v);
	if (m->recipient.n > 0 && is_open(v, m->recipient)) {
		ask_store(v, ch, m);
		return;
	}
	if (m->recipient.n > 0) {
		amounts.of[METER_RECIPIENTS] = 1;
	} else {
		amounts.of[METER_MESSAGES] = 1;
		amounts.of[METER_BYTES] = m->bytes < BYTES_MAX ? m->bytes : BYTES_MAX;
	}
	answer(ch, m->call, reserve(v, &a, m->transaction, &amounts));
	arena_fini(&a);
}

void reserve_peer_gone(struct accounting *acc, const struct channel *ch)
{
	LIST_EACH (i, &acc->admission.asking) {
		struct asking *ask = CONTAINER_OF(i, struct asking, in_asking);

		if (ask->channel == ch)
			ask->channel = NULL;
	}
}
