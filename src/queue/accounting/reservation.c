/* reservation.c - see admission.h. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"

#include <stdlib.h>

#define BYTES_MAX        (1ull << 40)
#define RESERVATIONS_MAX 64 /* of a session, which has one transaction after the other */

struct reservation {
	struct hashtable_item in_table;
	struct list in_client;
	struct client *client;
	uint64_t transaction;
	struct amounts amounts;
};

/* The store is asked whether a recipient is new to the login. */
struct asking {
	struct list in_asking;
	struct accounting *accounting;
	struct channel *channel; /* NULL: it has closed */
	uint64_t call, session, transaction;
	struct arena arena;
	struct str login, address;
};

/* ---- reservations ---- */

static bool refuses(const struct client *c, enum meter_kind kind)
{
	return !c->account->hold && (account_has(c->account, kind) || account_has(c->device, kind));
}

uint64_t reserving(const struct client *c)
{
	bool message = refuses(c, METER_MESSAGES) || refuses(c, METER_BYTES);
	bool recipient = refuses(c, METER_RECIPIENTS) || refuses(c, METER_NEW);

	return (message ? 1 : 0) | (recipient ? 2 : 0);
}

static struct reservation *find(struct accounting *acc, const struct admission_peer *p, uint64_t transaction)
{
	struct hashtable *t = &acc->admission.reservations;
	uint64_t hash = hash_numbers((uintptr_t)p, transaction);

	HASHTABLE_FIND_OF (struct reservation, r, t, hash, in_table)
		if (r->client->peer == p && r->transaction == transaction)
			return r;
	return NULL;
}

/* Add to, or subtract from, what is reserved. */
static void count(struct account *a, const struct amounts *amounts, bool add)
{
	for (int kind = 0; a && kind < METER_KINDS; kind++)
		a->reserved[kind] += add ? amounts->of[kind] : -amounts->of[kind];
}

static void reservation_free(struct reservation *r)
{
	struct client *c = r->client;

	count(c->account, &r->amounts, false);
	count(c->device, &r->amounts, false);
	hashtable_remove(&c->accounting->admission.reservations, &r->in_table);
	list_remove(&r->in_client);
	c->reservations_n--;
	free(r);
}

static void add(struct client *c, uint64_t transaction, const struct amounts *amounts)
{
	struct reservation *r = find(c->accounting, c->peer, transaction);

	if (!r) {
		r = NEW(struct reservation);
		r->client = c;
		r->transaction = transaction;
		list_append(&c->reservations, &r->in_client);
		c->reservations_n++;
		hashtable_add(&c->accounting->admission.reservations, &r->in_table,
			      hash_numbers((uintptr_t)c->peer, transaction));
	}
	for (int kind = 0; kind < METER_KINDS; kind++)
		r->amounts.of[kind] += amounts->of[kind];
	count(c->account, amounts, true);
	count(c->device, amounts, true);
}

void reservation_end(struct accounting *acc, const struct channel *ch, uint64_t transaction)
{
	LIST_EACH_OF (const struct admission_peer, p, &acc->admission.peers, in_peers) {
		struct reservation *r = p->channel == ch ? find(acc, p, transaction) : NULL;

		if (r)
			reservation_free(r);
	}
}

void reservations_drop(struct client *c)
{
	LIST_EACH (i, &c->reservations)
		reservation_free(CONTAINER_OF(i, struct reservation, in_client));
}

/* ---- the question ---- */

static void answer(struct channel *ch, uint64_t call, struct verdict v)
{
	ipc_send_reserved(ch, &(struct msg_reserved){ .call = call, .verdict = v }, -1);
}

/* The session can be older than the configuration. */
static void refresh(struct client *c)
{
	account_refresh(c->account);
	if (c->device)
		account_refresh(c->device);
}

/* All is known: reserve, if the limits allow it. */
static struct verdict reserve(struct client *c, struct arena *a, uint64_t transaction, const struct amounts *amounts)
{
	struct verdict verdict = quota_check(a, c->account, c->device, amounts);

	if (verdict.class == OK && !c->account->hold)
		add(c, transaction, amounts);
	return verdict;
}

static void on_known(void *ctx, struct verdict verdict, const bool *known, size_t n)
{
	struct asking *ask = ctx;
	struct accounting *acc = ask->accounting;
	struct client *c = ask->channel ? client_find(acc, ask->channel, ask->session) : NULL;
	struct amounts amounts = { .of = { [METER_RECIPIENTS] = 1 } };

	list_remove(&ask->in_asking);
	if (verdict.class == OK && c && c->account) {
		refresh(c);
		if (n > 0 && known[0])
			seen_recipients_add(&acc->seen_recipients, ask->login, ask->address, clock_now_ms());
		else
			amounts.of[METER_NEW] = 1;
		verdict = reserve(c, &ask->arena, ask->transaction, &amounts);
	}
	answer(ask->channel, ask->call, verdict);
	arena_fini(&ask->arena);
	free(ask);
}

static void ask_store(struct client *c, struct channel *ch, const struct msg_reserve *m)
{
	struct accounting *acc = c->accounting;
	struct asking *ask = NEW(struct asking);

	ask->accounting = acc;
	ask->channel = ch;
	ask->call = m->call;
	ask->session = m->session;
	ask->transaction = m->transaction;
	ask->address = arena_str(&ask->arena, m->recipient);
	list_append(&acc->admission.asking, &ask->in_asking);
	ask->login = arena_str(&ask->arena, str_of(c->login));
	store_known(acc->store, ask->login, &ask->address, 1, on_known, ask);
}

/* Do the limits depend on whether the recipient is new, and is that not known? */
static bool is_open(const struct client *c, struct str recipient)
{
	if (!refuses(c, METER_NEW))
		return false;
	return !seen_recipient(&c->accounting->seen_recipients, str_of(c->login), recipient, clock_now_ms());
}

void accounting_reserve(struct accounting *acc, struct channel *ch, const struct msg_reserve *m)
{
	struct client *c = client_find(acc, ch, m->session);
	struct amounts amounts = { .of = { 0 } };
	struct arena a = { 0 };

	if (!accounting_may_store(acc) || !accounting_is_ready(acc)) {
		answer(ch, m->call, temp(451, S("4.3.0"), S("queue unavailable, try again")));
		return;
	}
	if (c && c->reservations_n > RESERVATIONS_MAX) {
		channel_exceeded(ch, "a session has too many reservations");
		return;
	}
	if (!c || !c->account) { /* without a login nothing is reserved: `submit` checks the whole message */
		answer(ch, m->call, ok());
		return;
	}
	refresh(c);
	if (m->recipient.n > 0 && is_open(c, m->recipient)) {
		ask_store(c, ch, m);
		return;
	}
	if (m->recipient.n > 0) {
		amounts.of[METER_RECIPIENTS] = 1;
	} else {
		amounts.of[METER_MESSAGES] = 1;
		amounts.of[METER_BYTES] = m->bytes < BYTES_MAX ? m->bytes : BYTES_MAX;
	}
	answer(ch, m->call, reserve(c, &a, m->transaction, &amounts));
	arena_fini(&a);
}

void reserve_peer_gone(struct accounting *acc, const struct channel *ch)
{
	LIST_EACH_OF (struct asking, ask, &acc->admission.asking, in_asking)
		if (ask->channel == ch)
			ask->channel = NULL;
}
