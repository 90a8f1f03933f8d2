/* account.c - logins and devices: finding them, and their limits. */
#include "queue.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"

#include <assert.h>
#include <stdlib.h>

void accounts_init(struct queue *q)
{
}

/* ---- meters ---- */

static struct meter meter_make(struct account *a, const char *prefix, enum meter_kind kind, struct rate r)
{
	struct arena arena = { 0 };
	struct str rule = arena_printf(&arena, "%s%.*s", prefix, STR_ARG(rule_words(&arena, kind, r)));
	struct meter m = { .kind = kind, .rate = r, .bucket = bucket_get(a->queue, str_of(a->key), rule) };

	arena_fini(&arena);
	m.bucket->rate = r;
	m.bucket->users++;
	return m;
}

static void drop_meters(struct account *a)
{
	for (size_t i = 0; i < a->meters_n; i++)
		a->meters[i].bucket->users--;
	if (a->new_recipients.bucket)
		a->new_recipients.bucket->users--;
	free(a->meters);
	a->meters = NULL;
	a->meters_n = 0;
	a->new_recipients = (struct meter){ .kind = METER_NEW };
}

static void add_meters(struct account *a, enum meter_kind kind, const struct rate_list *rates)
{
	for (size_t i = 0; i < rates->n; i++)
		a->meters[a->meters_n++] = meter_make(a, "", kind, rates->at[i]);
}

static void use_limits(struct account *a, const struct user_limits *l)
{
	const struct rate_list *lists[METER_KINDS] = {
		[METER_MESSAGES] = &l->messages,
		[METER_RECIPIENTS] = &l->recipients,
		[METER_BYTES] = &l->bytes,
		[METER_NEW] = &l->new_recipients,
	};
	size_t n = 0;

	for (int kind = 0; kind < METER_KINDS; kind++)
		n += lists[kind]->n;
	drop_meters(a);
	a->meters = xcalloc(n + 1, sizeof *a->meters);
	for (int kind = 0; kind < METER_KINDS; kind++)
		add_meters(a, (enum meter_kind)kind, lists[kind]);
	a->connections_max = l->connections;
	a->hold = l->hold;
	a->breaker = l->breaker;
}

struct str account_login(const struct account *a)
{
	struct str rest = str_of(a->key);

	rest = str_from(rest, str_find(rest, ':') + 1);
	return str_head(rest, str_find(rest, '/'));
}

static struct str device_of(const struct account *a)
{
	struct str key = str_of(a->key);

	return str_from(key, str_find(key, '/') + 1);
}

/* Its limits, as the configuration has them now. */
struct account *account_refresh(struct account *a)
{
	struct queue *q = a->queue;
	const struct config *c = role_config(q->role);
	struct user_limits l = { .connections = 0 };

	if (a->generation == q->generation)
		return a;
	a->generation = q->generation;
	if (a->is_device)
		limits_of_device(c, account_login(a), device_of(a), &l);
	else
		limits_of_login(c, account_login(a), &l);
	use_limits(a, &l);
	if (a->breaker && c->breaker.new_recipients.amount > 0)
		a->new_recipients = meter_make(a, "breaker ", METER_NEW, c->breaker.new_recipients);
	return a;
}

/* ---- finding ---- */

struct account *account_find(struct queue *q, struct str key)
{
	uint64_t hash = hash_text(key);

	HASHTABLE_FIND (i, &q->accounts, hash) {
		struct account *a = CONTAINER_OF(i, struct account, in_table);

		if (str_eq(str_of(a->key), key))
			return account_refresh(a);
	}
	return NULL;
}

static struct account *get(struct queue *q, struct str key, bool is_device)
{
	struct account *a = account_find(q, key);

	if (a)
		return a;
	a = NEW(struct account);
	a->queue = q;
	a->key = copy_text(key);
	a->is_device = is_device;
	hashtable_add(&q->accounts, &a->in_table, hash_text(key));
	return account_refresh(a);
}

/* Some back-ends take a name in whatever case: it is one account all the same. */
struct account *account_of(struct queue *q, struct str login)
{
	struct arena a = { 0 };
	struct str name = str_head(login, str_find(login, '/'));
	struct account *account = get(q, arena_lower(&a, arena_printf(&a, "user:%.*s", STR_ARG(name))), false);

	arena_fini(&a);
	return account;
}

struct account *account_of_device(struct queue *q, struct str login, struct str device)
{
	struct arena a = { 0 };
	struct account *account = NULL;
	struct user_limits l;

	if (device.n == 0)
		return NULL;
	limits_of_device(role_config(q->role), login, device, &l);
	if (l.messages.n + l.recipients.n + l.bytes.n + l.new_recipients.n > 0)
		account = get(q, arena_lower(&a, arena_printf(&a, "device:%.*s/%.*s", STR_ARG(login), STR_ARG(device))), true);
	arena_fini(&a);
	return account;
}

struct account *account_hold(struct account *a)
{
	if (a)
		a->users++;
	return a;
}

void account_release(struct account *a)
{
	if (!a)
		return;
	assert(a->users > 0);
	a->users--;
}

bool account_has(const struct account *a, enum meter_kind kind)
{
	for (size_t i = 0; a && i < a->meters_n; i++)
		if (a->meters[i].kind == kind)
			return true;
	return false;
}

void accounts_apply(struct queue *q)
{
	q->generation++;
}

void accounts_mend(struct queue *q, uint64_t now)
{
	HASHTABLE_EACH (i, &q->accounts)
		bounces_mend(CONTAINER_OF(i, struct account, in_table), now);
}

/* ---- the end ---- */

static void account_free(struct account *a)
{
	hashtable_remove(&a->queue->accounts, &a->in_table);
	drop_meters(a);
	free(a->networks);
	free(a->key);
	free(a);
}

void accounts_collect(struct queue *q, uint64_t now)
{
	HASHTABLE_EACH (i, &q->accounts) {
		struct account *a = CONTAINER_OF(i, struct account, in_table);

		networks_collect(a, now);
		if (a->users == 0 && a->networks_n == 0 && a->held_tat_us <= now * 1000 && bounces_forgotten(a, now))
			account_free(a);
	}
}

void accounts_fini(struct queue *q)
{
	HASHTABLE_EACH (i, &q->accounts) {
		struct account *a = CONTAINER_OF(i, struct account, in_table);

		for (size_t n = 0; n < a->networks_n; n++)
			a->networks[n]->users--;
		account_free(a);
	}
	hashtable_fini(&q->accounts);
}
