/* test_listing.c - a page of the listing: which messages, and what it says of each. */
#include "fixture.h"

/* Texts are compared, and are not patterns. */
static void by_recipient_and_destination(void **state)
{
	struct fixture *f = *state;
	static const struct {
		struct selector s;
		size_t n;
	} rows[] = {
		{ { .recipient = { "C@b.org", 7 } }, 2 },
		{ { .destination = { "B.org", 5 } }, 2 },
		{ { .destination = { "b.org", 5 }, .recipient = { "c@b.org", 7 } }, 2 },
		{ { .destination = { "a.org", 5 }, .recipient = { "c@b.org", 7 } }, 0 }, /* one recipient is both */
		{ { .destination = { "org", 3 } }, 0 },
		{ { .destination = { "_.org", 5 } }, 0 },
		{ { .destination = { "%", 1 } }, 0 },
		{ { .destination = { "b@a.org", 7 } }, 0 },
		{ { .recipient = { "%@b.org", 7 } }, 0 },
		{ { .recipient = { "c", 1 } }, 0 },
		{ { .recipient = { "d@c.org", 7 } }, 0 }, /* is delivered */
		{ { .recipient = { "j\xc3\xb6rg@c.org", 11 } }, 1 },
		{ { .recipient = { "J\xc3\xb6rg@C.org", 11 } }, 1 },
		{ { .destination = { "b.org", 5 }, .id = 100 }, 1 },
		{ { .destination = { "b.org", 5 }, .id = 101 }, 0 },
	};

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org d@c.org j\xc3\xb6rg@c.org").class, OK);
	assert_int_equal(accept_to(f, 102, "c@b.org").class, OK);
	assert_int_equal(settle_now(f, 101, 2, RCPT_DELIVERED, 0).class, OK);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (select_now(f, rows[i].s, 0, 10).n != rows[i].n)
			fail_msg("row %zu", i);
}

static void check_row(const struct message_row *m, uint64_t id, const char *held, const char *recipient, const char *reply)
{
	assert_int_equal(m->id, id);
	assert_str(m->held, held);
	assert_str(m->recipient, recipient);
	assert_str(m->reply, reply);
}

/* One row is not like another. */
static void rows_of_a_page(void **state)
{
	struct fixture *f = *state;
	const struct message_row *m;
	struct answer a;

	for (uint64_t id = 100; id < 106; id++)
		assert_int_equal(accept_to(f, id, id == 103 ? "b@b.org c@b.org" : "b@a.org c@a.org").class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 101 }, ALTER_HOLD).count, 1);
	assert_int_equal(alter_now(f, (struct selector){ .id = 102, .recipient = S("c@a.org") }, ALTER_HOLD).count, 1);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), NOW, 10).n, 1);
	assert_int_equal(settle_now(f, 103, 2, RCPT_WAITING, NOW * 2).class, OK);
	assert_int_equal(settle_now(f, 104, 1, RCPT_FAILED, 0).class, OK);
	assert_int_equal(settle_now(f, 105, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 105, 2, RCPT_DELIVERED, 0).class, OK);
	a = select_now(f, (struct selector){ 0 }, 0, 10);
	m = a.rows;
	assert_int_equal(a.n, 5);
	check_row(&m[0], 100, "", "b@a.org", "");
	check_row(&m[1], 101, "by \"root\"", "b@a.org", "");
	check_row(&m[2], 102, "1 of 2 open recipients", "b@a.org", "");
	check_row(&m[3], 103, "", "b@b.org", "");
	check_row(&m[4], 104, "", "b@a.org", "550 5.1.1 no such user");
	assert_true(m[1].is_held && !m[2].is_held);
	assert_int_equal(m[0].due_at, NOW);
	assert_int_equal(m[1].due_at, 0);
	assert_in_range(m[3].due_at, NOW, NOW * 2 - 1); /* the one in flight, since it was taken or was due */
	assert_int_equal(m[4].open, 2);
	a = select_now(f, (struct selector){ .id = 105 }, 0, 10);
	m = a.rows;
	check_row(m, 105, "", "", "");
	assert_int_equal(m->open, 0);
	assert_int_not_equal(m->finished_at, 0);
}

/* Few messages among very many. */
static void a_page_of_what_is_rare(void **state)
{
	struct fixture *f = *state;
	enum { N = 1300 };
	struct accepted *all[N];
	struct str ids = S("");
	uint64_t cursor = 0;
	unsigned pages = 0;

	for (size_t i = 0; i < N; i++)
		all[i] = message(f, 100 + i, i % 500 == 250 ? "x@a.org x@rare.org" : "x@a.org");
	accept_all(f, all, N);
	do {
		struct answer a = select_now(f, (struct selector){ .destination = S("RARE.org") }, cursor, 2);

		for (size_t i = 0; i < a.n; i++)
			ids = arena_printf(&f->arena, "%.*s %llu", STR_ARG(ids),
					   (unsigned long long)((const struct message_row *)a.rows)[i].id);
		cursor = a.next;
		pages++;
	} while (cursor);
	assert_str(ids, " 350 850 1350");
	assert_int_equal(pages, 2);
	for (cursor = 0, pages = 0; pages == 0 || cursor; pages++) {
		struct answer a = select_now(f, (struct selector){ 0 }, cursor, 1000);

		assert_int_equal(a.n, pages == 0 ? 1000 : N - 1000);
		assert_int_equal(((const struct message_row *)a.rows)[0].id, 100 + 1000 * pages);
		cursor = a.next;
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(by_recipient_and_destination),
		CASE(rows_of_a_page),
		CASE(a_page_of_what_is_rare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
