/* test_find_pages.c - finding mail: pages, places, and what they say of recipients. */
#include "fixture.h"

#include "posthouse/buf.h"

#define T(text)                                                                                                                  \
	{                                                                                                                        \
		(text), sizeof(text) - 1                                                                                         \
	}

/* A message to more recipients than a call looks at. */
static void a_message_to_very_many(void **state)
{
	struct fixture *f = *state;
	enum { N = 4500 };
	struct accepted *m = message(f, 100, "x");
	struct new_recipient *all = ARENA_ARRAY(&f->arena, struct new_recipient, N);
	struct buf every, waiting;

	buf_init(&every, SIZE_MAX);
	buf_init(&waiting, SIZE_MAX);
	for (size_t i = 0; i < N; i++) {
		all[i] = (struct new_recipient){ .address = arena_printf(&f->arena, "u%zu@many.test", i + 1), .orcpt = S("") };
		buf_printf(&every, "%s100/%zu", i ? " " : "", i + 1);
		if (i + 1 != 2 && i + 1 != 4000)
			buf_printf(&waiting, "%s100/%zu", i ? " " : "", i + 1);
	}
	m->recipients = all;
	m->recipients_n = N;
	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(accept_to(f, 99, "u1@before.test").class, OK);
	assert_int_equal(accept_to(f, 101, "u1@after.test").class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 100, 4000, RCPT_DELIVERED, 0).class, OK);
	for (size_t page = 150; page <= 500; page += 50)
		assert_true(str_eq(find_now(f, (struct find){ .recipient = T("many.test") }, page), buf_view(&every)));
	assert_true(str_eq(find_now(f, (struct find){ .states = 1 << RCPT_WAITING, .recipient = T("many.test") }, 170),
			   buf_view(&waiting)));
	assert_str(find_now(f, (struct find){ .recipient = T("u4500") }, 3), "100/4500");
	assert_str(find_now(f, (struct find){ .recipient = T("u1") }, 1), "101/1 100/1 99/1");
	assert_str(find_now(f, (struct find){ .states = 1 << RCPT_DELIVERED }, 1), "100/2 100/4000");
	buf_fini(&every);
	buf_fini(&waiting);
}

static void by_message_id_in_pages(void **state)
{
	struct fixture *f = *state;
	static const char *const ids[] = { "<A@b.test>", "a@B.test", "<a@b.test>", "<aa@b.test>", "<a@b.test", "a@b" };
	struct accepted *all[6];

	for (size_t i = 0; i < 6; i++) {
		all[i] = message(f, 100 + i, "x@x.test y@x.test");
		all[i]->envelope.message_id = str_of(ids[i]);
	}
	accept_all(f, all, 6);
	for (size_t page = 1; page < 9; page++)
		assert_str(find_now(f, (struct find){ .message_id = T("<a@b.test>") }, page),
			   "104/1 104/2 102/1 102/2 101/1 101/2 100/1 100/2");
	assert_str(find_now(f, (struct find){ .message_id = T("A@b.test"), .recipient = T("y") }, 2), "104/2 102/2 101/2 100/2");
	assert_str(find_now(f, (struct find){ .message_id = T("a@b.test"), .user = T("nobody") }, 2), "");
}

/* An id tells the time at which it was made; the message can have come somewhat later, and some ids tell nothing. */
static void by_time_whatever_the_id_says(void **state)
{
	struct fixture *f = *state;
	const uint64_t day = 86400000;
	const uint64_t ids[] = { 100, id_first_of(NOW - 10 * day), id_first_of(NOW - day), id_first_of(NOW) };
	struct accepted *all[4];
	struct str found, wanted;

	for (size_t i = 0; i < 4; i++) {
		all[i] = message(f, ids[i], "x@x.test");
		all[i]->received_at = i == 1 ? NOW - 10 * day : NOW;
	}
	accept_all(f, all, 4);
	wanted = arena_printf(&f->arena, "%llu/1 %llu/1 100/1", (unsigned long long)ids[3], (unsigned long long)ids[2]);
	found = find_now(f, (struct find){ .since = NOW }, 10);
	assert_true(str_eq(found, wanted));
	assert_true(str_eq(find_now(f, (struct find){ .since = NOW }, 1), wanted));
	found = find_now(f, (struct find){ .until = NOW, .since = 1 }, 10);
	assert_true(str_eq(found, arena_printf(&f->arena, "%llu/1", (unsigned long long)ids[1])));
}

/* States of recipients, whose messages are all open. */
static void by_what_has_become_of_it(void **state)
{
	struct fixture *f = *state;
	struct answer a;
	const struct found_recipient *r;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org d@c.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@d.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 1).n, 1);
	assert_int_equal(settle_now(f, 100, 3, RCPT_FAILED, 0).class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 101 }, ALTER_HOLD).count, 1);
	a = found_now(f, (struct find){ 0 }, (struct find_place){ 0 }, 10);
	r = a.rows;
	assert_int_equal(a.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(r[i].recipient.leased, i == 1);
	assert_int_not_equal(r[1].recipient.due_at, 0);
	assert_int_equal(r[2].recipient.due_at, NOW);
	assert_str(r[0].held, "by \"root\"");
	assert_str(find_now(f, (struct find){ .states = 1 << RCPT_HELD | 1 << RCPT_FAILED }, 1), "101/1 100/3");
	assert_str(find_now(f, (struct find){ .states = 1 << RCPT_WAITING }, 1), "100/1 100/2");
	assert_str(find_now(f, (struct find){ .states = 1 << RCPT_FAILED | 1 << RCPT_DELIVERED }, 1), "100/3");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_message_to_very_many),
		CASE(by_message_id_in_pages),
		CASE(by_time_whatever_the_id_says),
		CASE(by_what_has_become_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
