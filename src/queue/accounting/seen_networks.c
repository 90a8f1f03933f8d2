/* seen_networks.c - the client networks of logins. */
#include "accounting/accounting.h"

#include "posthouse/units.h"

#include <stdlib.h>

#define NETWORKS_MAX 64 /* of one login: the ones used last */
#define KNOWN_US     (NETWORK_KNOWN_MS * 1000)
#define SAVE_EACH_US (DAY_MS * 1000) /* the stored time can be a day old */
#define RULE         "network "

static struct str rule_of(struct arena *a, struct str network)
{
	return arena_printf(a, RULE "%.*s", STR_ARG(str_head(network, 100)));
}

bool seen_network_known(struct accounting *acc, struct arena *a, struct str login, struct str network, uint64_t now)
{
	const struct bucket *b = bucket_find(acc, login_key(a, login), rule_of(a, network));

	return b && b->tat_us > now * 1000;
}

/* Remove from the account's list. */
static void let_go(struct account *a, size_t i)
{
	a->networks[i]->users--;
	a->networks[i] = a->networks[--a->networks_n];
}

static void add(struct account *a, struct bucket *b)
{
	size_t oldest = 0;

	if (a->networks_n == NETWORKS_MAX) {
		struct bucket *old;

		for (size_t i = 1; i < a->networks_n; i++)
			if (a->networks[i]->tat_us < a->networks[oldest]->tat_us)
				oldest = i;
		old = a->networks[oldest];
		let_go(a, oldest);
		bucket_forget(a->accounting, old);
	}
	a->networks = xrealloc(a->networks, (a->networks_n + 1) * sizeof(struct bucket *));
	a->networks[a->networks_n++] = b;
	b->users++;
}

uint64_t seen_network_use(struct account *a, struct str network, uint64_t now)
{
	struct arena arena = { 0 };
	struct str key = login_key(&arena, account_login(a)), rule = rule_of(&arena, network);
	struct bucket *b = bucket_find(a->accounting, key, rule);
	uint64_t before;

	if (!b && !buckets_are_many(a->accounting))
		b = bucket_get(a->accounting, key, rule);
	arena_fini(&arena);
	if (!b) /* too many buckets: the network is not recorded */
		return 0;
	before = b->tat_us > KNOWN_US ? (b->tat_us - KNOWN_US) / 1000 : 0;
	if (b->users == 0)
		add(a, b);
	b->tat_us = now * 1000 + KNOWN_US;
	home_network_add(a->accounting, network, b->tat_us / 1000);
	if (b->tat_us < b->saved_us || b->tat_us - b->saved_us >= SAVE_EACH_US)
		bucket_touch(a->accounting, b);
	return before;
}

static void on_loaded(struct accounting *acc, struct bucket *b)
{
	if (b->users > 0 || !subject_is(str_of(b->key), SUBJECT_LOGIN))
		return;
	add(account_of(acc, subject_name(str_of(b->key))), b);
	home_network_add(acc, str_from(str_of(b->rule), sizeof(RULE) - 1), b->tat_us / 1000);
}

const struct bucket_user seen_networks_rule = {
	.rule = RULE,
	.period_us = KNOWN_US,
	.is_record = true,
	.outlives_reset = true,
	.loaded = on_loaded,
};

void seen_networks_collect(struct accounting *acc, uint64_t now)
{
	HASHTABLE_EACH_OF (struct account, a, &acc->accounts, in_table)
		for (size_t i = a->networks_n; i-- > 0;)
			if (a->networks[i]->tat_us <= now * 1000)
				let_go(a, i);
}
