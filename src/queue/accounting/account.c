/* account.c - logins and devices: finding them, and their limits. */
#include "accounting/accounting.h"

#include "posthouse/clock.h"
#include "posthouse/policy.h"
#include "posthouse/units.h"

#include <assert.h>
#include <stdlib.h>

#define ACCOUNTS_MAX 200000 /* logins that were used a short while ago, or have sessions */

/* ---- meters ---- */

static struct meter meter_make(struct account *a, const char *prefix, enum meter_kind kind, struct rate r)
{
	struct arena arena = { 0 };
	struct str rule = arena_printf(&arena, "%s%.*s", prefix, STR_ARG(format_rule(&arena, kind, r)));
	struct meter m = { .kind = kind, .rate = r, .bucket = bucket_get(a->accounting, str_of(a->key), rule) };

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

struct str account_name(const struct account *a)
{
	return subject_name(str_of(a->key));
}

struct str account_login(const struct account *a)
{
	struct str name = account_name(a);

	return str_head(name, str_find(name, '/'));
}

static struct str device_of(const struct account *a)
{
	struct str key = str_of(a->key);

	return str_from(key, str_find(key, '/') + 1);
}

/* Its limits, as the configuration has them now. */
struct account *account_refresh(struct account *a)
{
	struct accounting *acc = a->accounting;
	const struct config *c = role_config(acc->role);
	struct user_limits l = { .connections = 0 };

	if (a->generation == acc->generation)
		return a;
	a->generation = acc->generation;
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

struct account *account_find(struct accounting *acc, struct str key)
{
	struct account *a = HASHTABLE_NAMED(&acc->accounts, key, struct account, in_table, key);

	return a ? account_refresh(a) : NULL;
}

static struct account *get(struct accounting *acc, struct str key, bool is_device)
{
	struct account *a = account_find(acc, key);

	if (a)
		return a;
	a = NEW(struct account);
	a->accounting = acc;
	a->key = str_dup(key);
	a->is_device = is_device;
	hashtable_add(&acc->accounts, &a->in_table, hash_text(key));
	return account_refresh(a);
}

/* Some back-ends accept a name in upper and lower case: it is one account all the same. */
struct account *account_of(struct accounting *acc, struct str login)
{
	struct arena a = { 0 };
	struct account *account = get(acc, user_key(&a, login), false);

	arena_fini(&a);
	return account;
}

struct account *account_of_device(struct accounting *acc, struct str login, struct str device)
{
	struct arena a = { 0 };
	struct account *account = NULL;
	struct user_limits l;

	if (device.n == 0)
		return NULL;
	limits_of_device(role_config(acc->role), login, device, &l);
	if (l.messages.n + l.recipients.n + l.bytes.n + l.new_recipients.n > 0)
		account = get(acc, device_key(&a, login, device), true);
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

void accounts_mend(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH (i, &acc->accounts)
		bounces_mend(&CONTAINER_OF(i, struct account, in_table)->bounces, now);
}

/* ---- the end ---- */

static void account_free(struct account *a)
{
	hashtable_remove(&a->accounting->accounts, &a->in_table);
	drop_meters(a);
	free(a->networks);
	free(a->key);
	free(a);
}

void accounts_collect(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH_OF (struct account, a, &acc->accounts, in_table)
		if (a->users == 0 && a->networks_n == 0 && a->held_tat_us <= now * 1000 && bounces_forgotten(&a->bounces, now))
			account_free(a);
}

bool accounts_have_room(struct accounting *acc)
{
	uint64_t now = clock_mono_ms();

	if (acc->accounts.n < ACCOUNTS_MAX)
		return true;
	if (now - acc->accounts_collected_at >= SECOND_MS) {
		acc->accounts_collected_at = now;
		accounts_collect(acc, clock_now_ms());
	}
	return acc->accounts.n < ACCOUNTS_MAX;
}

void accounts_fini(struct accounting *acc)
{
	HASHTABLE_EACH_OF (struct account, a, &acc->accounts, in_table) {
		for (size_t n = 0; n < a->networks_n; n++)
			a->networks[n]->users--;
		account_free(a);
	}
	hashtable_fini(&acc->accounts);
}
