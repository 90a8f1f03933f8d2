/* test_show.c - a listing of limits whose tables grow between its pages, and while a page is made. */
#include "stored.h"
#include "visits.h"

#include <stdlib.h>

#define FIRST 1000 /* buckets and bans that are there all the time */
#define LATER 5000 /* that come while the listing runs */
#define HOUR  3600000ull

static struct rate ten_an_hour[] = { { 10, HOUR } };
static unsigned met_buckets[FIRST], met_bans[FIRST];
static uint64_t cursor;
static unsigned pages;

/* A network that is banned; and a login of which nothing but a used bucket is known: to show it makes the buckets of its limits. */
static void add(struct harness *h, size_t from, size_t to)
{
	struct accounting *acc = &h->q->accounting;

	for (size_t i = from; i < to; i++) {
		struct str login = arena_printf(&h->arena, "%zu@example.org", i);
		struct str network = arena_printf(&h->arena, "%zu", i);

		bucket_get(acc, user_key(&h->arena, login), S("messages 10/1h"))->tat_us = (START_MS + HOUR) * 1000;
		ban_put(acc, network_key(&h->arena, network), 1, START_MS, START_MS + HOUR, S("failed logins"));
	}
}

static void on_rows(void *ctx, struct verdict v, const struct msg_limits_rows *m, int fd)
{
	assert_non_null(m);
	assert_int_equal(m->verdict.class, OK);
	for (size_t i = 0; i < m->rows.n; i++) {
		const struct rec_limit_row *row = &m->rows.at[i];
		bool ban = str_eq(row->rule, S("ban"));
		size_t n = (size_t)atol(str_from(row->key, ban ? strlen("net:") : strlen("user:")).p);

		if (n < FIRST)
			(ban ? met_bans : met_buckets)[n]++;
	}
	cursor = m->cursor;
	pages++;
}

static void next_page(struct harness *h)
{
	unsigned before = pages;

	ipc_call_limits_page(h->console, &(struct msg_limits_page){ .cursor = cursor }, -1, on_rows, h);
	UNTIL(h, pages > before);
}

/* Whatever was there all the time is shown once. */
static void test_growing(void **state)
{
	struct harness *h = *state;

	h->config.limits.messages = (struct rate_list){ ten_an_hour, 1 };
	visits_begin(h);
	add(h, 0, FIRST);
	next_page(h);
	assert_true(cursor > 0);
	add(h, FIRST, FIRST + LATER);
	next_page(h);
	while (cursor > 0)
		next_page(h);
	assert_true(pages > 4);
	for (size_t i = 0; i < FIRST; i++) {
		assert_int_equal(met_buckets[i], 1);
		assert_int_equal(met_bans[i], 1);
	}
	assert_int_equal(limits_reset(h, ""), 2 * (FIRST + LATER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_growing, harness_setup_alone, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
