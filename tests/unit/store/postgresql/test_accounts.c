/* test_accounts.c - the accounts of all nodes: read, changed by one node after the other, and what tells a node that they have
 * changed. */
#include "../engine_under_test.h"

#include "cluster.h"

#include "posthouse/store_nodes.h"

#define ROW(name, device, line)                                                                                                  \
	{                                                                                                                        \
		{ name, sizeof(name) - 1 }, { device, sizeof(device) - 1 },                                                      \
		{                                                                                                                \
			line, sizeof(line) - 1                                                                                   \
		}                                                                                                                \
	}

static const struct store_account alice[] = { ROW("alice@x", "", "alice@x - secret 1"),
					      ROW("alice@x", "pad", "alice@x pad s 2") };

static void on_accounts(void *ctx, struct verdict v, uint64_t version, int fd)
{
	struct answer *a = ctx;
	char text[500] = "";

	a->v = v;
	a->count = version;
	if (fd >= 0) {
		ssize_t n = pread(fd, text, sizeof text - 1, 0);

		assert_in_range(n, 0, sizeof text - 1);
		close(fd);
	}
	a->text = arena_str(&a->f->arena, str_of(text));
	if (fd >= 0) {
		assert_true(str_starts(a->text, S("# login_key=")));
		assert_int_equal(str_find(a->text, '\n'), 12 + 32);
		a->text = str_from(a->text, 12 + 32 + 1);
	}
	a->done = true;
}

static struct answer accounts_now(struct fixture *f)
{
	struct answer a = { .f = f };

	store_accounts(f->st, on_accounts, &a);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	return a;
}

static void on_committed(void *ctx, struct verdict v, uint64_t version)
{
	struct answer *a = ctx;

	a->v = v;
	a->count = version;
	a->done = true;
}

static struct answer commit(struct fixture *f, uint64_t version, const struct store_account *rows, size_t n)
{
	struct answer a = { .f = f };

	store_accounts_commit(f->st, version, rows, n, on_committed, &a);
	answer_wait(f, &a);
	return a;
}

static const char *sql(struct fixture *f, const char *text)
{
	return cluster_sql(arena_cstr(&f->arena, f->options.database->connection), text);
}

/* ---- tests ---- */

static void an_empty_table_is_filled_once(void **state)
{
	struct fixture *f = *state;
	static const struct store_account other[] = { ROW("bob@x", "", "bob@x - secret 1") };
	struct answer a = accounts_now(f);

	assert_int_equal(a.count, 0);
	assert_str(a.text, "");
	a = commit(f, 0, alice, 2);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(a.count, 1);
	a = commit(f, 0, other, 1);
	assert_true(store_is_behind(a.v));
	assert_int_equal(a.count, 1);
	a = accounts_now(f);
	assert_int_equal(a.count, 1);
	assert_str(a.text, "alice@x - secret 1\nalice@x pad s 2\n");
}

static void a_change_has_a_base(void **state)
{
	struct fixture *f = *state;
	static const struct store_account change[] = { ROW("alice@x", "", "alice@x - other 1"), ROW("alice@x", "pad", "") };
	struct answer a;

	assert_int_equal(commit(f, 0, alice, 2).v.class, OK);
	(void)sql(f, "UPDATE meta SET value='7' WHERE key='accounts'");
	a = commit(f, 1, change, 2);
	assert_true(store_is_behind(a.v));
	assert_int_equal(a.count, 7);
	assert_str(accounts_now(f).text, "alice@x - secret 1\nalice@x pad s 2\n");
	a = commit(f, 7, change, 2);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(a.count, 8);
	assert_str(accounts_now(f).text, "alice@x - other 1\n");
}

/* Its answer was lost: it is no change of another node. */
static void a_change_is_repeated(void **state)
{
	struct fixture *f = *state;
	static const struct store_account removed[] = { ROW("alice@x", "pad", "") };
	struct answer a;

	assert_int_equal(commit(f, 0, alice, 2).count, 1);
	a = commit(f, 0, alice, 2);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(a.count, 1);
	assert_int_equal(commit(f, 1, removed, 1).count, 2);
	a = commit(f, 1, removed, 1);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(a.count, 2);
	assert_true(store_is_behind(commit(f, 1, alice, 2).v));
}

/* A statement of the same batch fails: what is to be changed is neither lost nor done twice. */
static void a_neighbour_fails(void **state)
{
	struct fixture *f = *state;
	struct accepted *bad = message(f, 100, "b@a.org");
	struct answer a = { .f = f }, b = { .f = f };

	engine_fail_bad(f, 0);
	bad->event = S("bad");
	store_accept(f->st, bad, on_done, &b);
	store_accounts_commit(f->st, 0, alice, 2, on_committed, &a);
	answer_wait(f, &a);
	answer_wait(f, &b);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(a.count, 1);
	assert_string_equal(sql(f, "SELECT value FROM meta WHERE key='accounts'"), "1");
}

static void wait_version(struct fixture *f, uint64_t version)
{
	struct store_node node = { .number = 0 };

	while (!node.accounts_known || node.accounts != version) {
		(void)uv_run(&f->loop, UV_RUN_NOWAIT);
		store_node(f->st, &node);
		usleep(10000);
	}
}

static void each_beat_tells_the_version(void **state)
{
	struct fixture *f = *state;

	wait_version(f, 0);
	(void)sql(f, "UPDATE meta SET value='9' WHERE key='accounts'");
	wait_version(f, 9);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_empty_table_is_filled_once), CASE(a_change_has_a_base),
		CASE(a_change_is_repeated),          CASE(a_neighbour_fails),
		CASE(each_beat_tells_the_version),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
