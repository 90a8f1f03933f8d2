/* test_pages.c - a page of a listing, and a step of a search, ask the server few questions, whatever the number of messages. */
#include "../engine_under_test.h"

#include "cluster.h"
#include "proxy.h"

#define MESSAGES 900
/* Answers to all statements of one call, two to each question, with those that the store asks each second. Less than 100 messages
 * would need if each had a question. */
#define ANSWERS_MAX 90

static void few(void (*call)(struct fixture *f), struct fixture *f)
{
	proxy_cut_before_answer(ANSWERS_MAX);
	call(f);
	assert_false(proxy_has_cut());
	proxy_cut_before_answer(0);
}

static void list_all(struct fixture *f)
{
	assert_int_equal(select_now(f, (struct selector){ 0 }, 0, MESSAGES).n, MESSAGES);
}

static void list_destination(struct fixture *f)
{
	struct answer a = select_now(f, (struct selector){ .destination = S("b.org") }, 0, 400);

	assert_int_equal(a.n, MESSAGES / 3);
	assert_int_equal(a.next, 0);
}

static void summarize(struct fixture *f)
{
	struct answer a = summary_now(f, 0, MESSAGES);

	assert_int_equal(a.n, 2);
	assert_int_equal(((const struct summary_row *)a.rows)[0].recipients, MESSAGES);
}

static void find_page(struct fixture *f)
{
	assert_int_equal(found_now(f, (struct find){ .sender = S("a@example.org") }, (struct find_place){ 0 }, 200).n, 200);
}

static void find_recipient(struct fixture *f)
{
	struct answer a = found_now(f, (struct find){ .recipient = S("*@b.org") }, (struct find_place){ 0 }, 200);

	assert_int_equal(a.n, 200);
}

static void find_nothing(struct fixture *f)
{
	struct answer a = found_now(f, (struct find){ .recipient = S("nobody@a.org") }, (struct find_place){ 0 }, 200);

	assert_int_equal(a.n, 0);
	assert_int_equal(a.place.phase, 0); /* all of it is one step */
}

static void pages_ask_few_questions(void **state)
{
	struct fixture *f = *state;
	struct store_database d = *f->options.database;
	struct accepted *all[MESSAGES];

	for (size_t i = 0; i < MESSAGES; i++)
		all[i] = message(f, 100 + i, i % 3 == 0 ? "b@a.org c@b.org" : "b@a.org");
	accept_all(f, all, MESSAGES);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), NOW, 20).n, 20);
	d.connection = arena_str(&f->arena, str_of(proxy_start(cluster_directory(), "store")));
	f->options.database = &d;
	fixture_reopen(f);
	few(list_all, f);
	few(list_destination, f);
	few(summarize, f);
	few(find_page, f);
	few(find_recipient, f);
	few(find_nothing, f);
	fixture_close(f);
	proxy_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_ask_few_questions, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
