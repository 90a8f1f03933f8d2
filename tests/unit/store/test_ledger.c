/* test_ledger.c - to whom a login has written, bans, and how long all that is remembered. */
#include "engine_under_test.h"

#include "posthouse/units.h"

static void accept_remembered(struct fixture *f, uint64_t id, const char *to, uint64_t received_at)
{
	struct accepted *m = message(f, id, to);

	m->remember = true;
	m->received_at = received_at;
	assert_int_equal(accept_now(f, m).class, OK);
}

static void who_was_written_to_is_known(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_now_ms();

	assert_str(known(f, "alice", "b@a.org"), "no");
	accept_remembered(f, 100, "b@a.org c@b.org", now);
	assert_int_equal(accept_to(f, 101, "d@a.org").class, OK); /* not to be remembered */
	assert_str(known(f, "alice", "b@a.org B@A.org c@b.org d@a.org e@a.org"), "yes yes yes no no");
	assert_str(known(f, "bob", "b@a.org"), "no");
	assert_str(known(f, "alice", ""), "");
	fixture_reopen(f); /* the key stays */
	assert_str(known(f, "alice", "c@B.ORG"), "yes");
}

static void a_refused_message_is_not_remembered(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org"), *other = message(f, 100, "c@a.org");

	assert_int_equal(accept_now(f, m).class, OK);
	other->remember = true;
	other->token++;
	assert_int_equal(accept_now(f, other).class, PERM);
	other->id = 101;
	store_set_limits(f->st, 1, 1);
	assert_int_equal(accept_now(f, other).code, 452);
	assert_str(known(f, "alice", "c@a.org"), "no");
}

static void a_row_is_rewritten_once_a_day(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_now_ms(), first = now - 3 * DAY_MS;

	accept_remembered(f, 100, "b@a.org", first);
	accept_remembered(f, 101, "b@a.org", first + DAY_MS);
	assert_int_equal(engine_known(f, "alice", first), 1);
	assert_int_equal(engine_known(f, "alice", first + 1), 0);
	accept_remembered(f, 102, "b@a.org", first + DAY_MS + 1);
	assert_int_equal(engine_known(f, "alice", first + DAY_MS + 1), 1);
	assert_int_equal(engine_known(f, "alice", first + DAY_MS + 2), 0);
	assert_int_equal(engine_known(f, "alice", 0), 1);
}

static void after_half_a_year_it_is_forgotten(void **state)
{
	struct fixture *f = *state;
	uint64_t now = clock_now_ms();

	accept_remembered(f, 100, "old@a.org older@a.org oldest@a.org", now - 183 * DAY_MS);
	accept_remembered(f, 101, "new@a.org", now - 181 * DAY_MS);
	assert_str(known(f, "alice", "old@a.org new@a.org"), "no yes");
	assert_int_equal(prune_now(f, NOW, 2), 2); /* bounded */
	assert_int_equal(engine_known(f, "alice", 0), 2);
	assert_int_equal(prune_now(f, NOW, 2), 1);
	assert_int_equal(prune_now(f, NOW, 2), 0);
	assert_str(known(f, "alice", "new@a.org"), "yes");
	/* Written to again after all that time. */
	accept_remembered(f, 102, "old@a.org", now);
	assert_str(known(f, "alice", "old@a.org"), "yes");
}

static void bans_are_kept(void **state)
{
	struct fixture *f = *state;

	assert_str(bans(f), "");
	assert_int_equal(put_ban(f, "net:192.0.2.1", 1, NOW, "").class, OK);
	assert_int_equal(put_ban(f, "login:alice", 3, NOW + 1, "").class, OK);
	assert_int_equal(put_ban(f, "net:192.0.2.1", 2, NOW + 5, "").class, OK);
	assert_int_equal(put_ban(f, "breaker:bob", 1, UINT64_MAX, "many new recipients").class, OK);
	fixture_reopen(f);
	assert_str(bans(f), "breaker:bob 1 9223372036854775807 many new recipients; login:alice 3 1700000000001 ; "
			    "net:192.0.2.1 2 1700000000005 ");
	assert_int_equal(put_ban(f, "login:alice", 0, 0, "").class, OK);
	assert_int_equal(put_ban(f, "login:nobody", 0, 0, "").class, OK);
	/* A week after their end they are forgotten. */
	assert_int_equal(prune_now(f, NOW + 5 + 7 * DAY_MS, 10), 0);
	assert_int_equal(prune_now(f, NOW + 6 + 7 * DAY_MS, 10), 1);
	fixture_reopen(f);
	assert_str(bans(f), "breaker:bob 1 9223372036854775807 many new recipients");
}

/* More buckets than one call looks through: in turn all of them. */
static void old_buckets_go_in_turn(void **state)
{
	struct fixture *f = *state;
	struct bucket_row *rows = ARENA_ARRAY(&f->arena, struct bucket_row, 2500);
	struct answer a = { .f = f };
	uint64_t gone = 0;

	for (size_t i = 0; i < 2500; i++)
		rows[i] = (struct bucket_row){ .key = arena_printf(&f->arena, "user:%04zu", i / 2),
					       .rule = i % 2 ? S("messages 200/1h") : S("bytes 1G/1d"),
					       .tat_us = i % 2 ? NOW * 1000 : NOW * 1000 + 1 };
	store_bucket_put(f->st, rows, 2500, on_done, &a);
	answer_wait(f, &a);
	for (int i = 0; i < 3; i++) {
		uint64_t n = prune_now(f, NOW, 10);

		assert_int_equal(n, 0);
	}
	for (int i = 0; i < 3; i++) {
		uint64_t n = prune_now(f, NOW + 1, 10);

		assert_true(n <= 1000);
		gone += n;
	}
	assert_int_equal(gone, 2500);
	assert_str(buckets(f), "");
}

/* The page behind a row. */
struct bucket_page {
	struct answer answer;
	struct arena arena;
	struct str key, rule; /* of the last one */
};

static void on_page(void *ctx, struct verdict v, const struct bucket_row *rows, size_t n)
{
	struct bucket_page *p = ctx;

	p->answer.done = true;
	p->answer.v = v;
	p->answer.n = n;
	if (n > 0) {
		p->key = arena_str(&p->arena, rows[n - 1].key);
		p->rule = arena_str(&p->arena, rows[n - 1].rule);
	}
}

static void buckets_come_in_pages(void **state)
{
	struct fixture *f = *state;
	struct bucket_row *rows = ARENA_ARRAY(&f->arena, struct bucket_row, 25000);
	struct bucket_page p = { .answer = { .f = f } };
	struct answer put = { .f = f };
	size_t n = 0, pages = 0;

	for (size_t i = 0; i < 25000; i++)
		rows[i] = (struct bucket_row){ .key = arena_printf(&f->arena, "user:%zu", i / 3),
					       .rule = arena_printf(&f->arena, "messages %zu/1h", i % 3),
					       .tat_us = 1 + i };
	store_bucket_put(f->st, rows, 25000, on_done, &put);
	answer_wait(f, &put);
	do {
		p.answer.done = false;
		store_buckets(f->st, p.key, p.rule, 7000, on_page, &p);
		answer_wait(f, &p.answer);
		assert_int_equal(p.answer.v.class, OK);
		n += p.answer.n;
		pages++;
	} while (p.answer.n == 7000);
	assert_int_equal(n, 25000);
	assert_int_equal(pages, 4);
	arena_fini(&p.arena);
}

/* What is empty has no row: names of strangers do not stay. */
static void an_empty_bucket_is_forgotten(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(put_bucket(f, "net:192.0.2.1", "failures 3/1h", NOW).class, OK);
	assert_int_equal(put_bucket(f, "net:192.0.2.2", "failures 3/1h", NOW).class, OK);
	assert_int_equal(put_bucket(f, "net:192.0.2.1", "failures 3/1h", 0).class, OK);
	assert_str(buckets(f), "net:192.0.2.2 failures 3/1h 1700000000000");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(who_was_written_to_is_known),
		CASE(a_refused_message_is_not_remembered),
		CASE(a_row_is_rewritten_once_a_day),
		CASE(after_half_a_year_it_is_forgotten),
		CASE(bans_are_kept),
		CASE(old_buckets_go_in_turn),
		CASE(buckets_come_in_pages),
		CASE(an_empty_bucket_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
