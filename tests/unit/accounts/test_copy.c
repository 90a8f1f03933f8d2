/* test_copy.c - the account file as a copy of a table: what a change of the table has to be, and the file that follows it. */
#include "remove_tree.h"
#include "unit.h"

#include "posthouse/accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SALT "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
#define KEY1 "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define KEY2 "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define V1   SALT KEY1 ":" KEY2
#define V2   SALT KEY2 ":" KEY1

#define ALICE "alice@x - " V1 " 1000\n"
#define PHONE "alice@x phone " V1 " 2000\n"
#define BOB   "bob@x - " V1 " 3000\n"

struct fixture {
	char directory[64], path[100], kept[120];
	struct accounts *a;
	struct accounts_plan plan;
};

static void write_file(const struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0 && fclose(file) == 0);
}

static int setup(void **state)
{
	struct fixture *f = NEW(struct fixture);
	struct verdict why;

	(void)snprintf(f->directory, sizeof f->directory, "copy-test.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	(void)snprintf(f->path, sizeof f->path, "%s/login", f->directory);
	assert_int_equal(mkdir(f->path, 0700), 0);
	(void)snprintf(f->path, sizeof f->path, "%s/login/accounts", f->directory);
	(void)snprintf(f->kept, sizeof f->kept, "%s.before-cluster", f->path);
	write_file(f, ALICE PHONE BOB);
	f->a = accounts_open(f->directory, &why);
	assert_non_null(f->a);
	accounts_plan_init(&f->plan);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	accounts_plan_fini(&f->plan);
	accounts_close(f->a);
	(void)remove_tree(f->directory);
	free(f);
	return 0;
}

static void assert_text(const struct buf *b, const char *expected)
{
	struct str s = buf_view(b);

	assert_int_equal(s.n, strlen(expected));
	assert_memory_equal(s.p, expected, s.n);
}

static struct verdict plan(struct fixture *f, enum account_operation operation, struct account what)
{
	buf_clear(&f->plan.changes);
	buf_clear(&f->plan.file);
	return accounts_plan(f->a, operation, &what, &f->plan);
}

/* ---- plans ---- */

static void a_plan_has_what_differs(void **state)
{
	struct fixture *f = *state;
	struct account phone = { .name = S("alice@x"), .device = S("phone") }, alice = { .name = S("alice@x") };
	struct account bob = { .name = S("bob@x"), .verifier = S(V2), .expires_at = ACCOUNTS_KEEP_EXPIRY };
	struct account carol = { .name = S("carol@x"), .verifier = S(V1) };

	assert_int_equal(plan(f, ACCOUNT_REMOVE, phone).class, OK);
	assert_text(&f->plan.changes, "alice@x phone\n");
	assert_text(&f->plan.file, ALICE BOB);
	assert_int_equal(plan(f, ACCOUNT_REMOVE, alice).class, OK);
	assert_text(&f->plan.changes, "alice@x -\nalice@x phone\n");
	assert_text(&f->plan.file, BOB);
	assert_int_equal(plan(f, ACCOUNT_PASSWD, bob).class, OK);
	assert_text(&f->plan.changes, "bob@x - " V2 " 3000\n");
	assert_text(&f->plan.file, ALICE PHONE "bob@x - " V2 " 3000\n");
	assert_int_equal(plan(f, ACCOUNT_ADD, carol).class, OK);
	assert_true(str_starts(buf_view(&f->plan.changes), S("carol@x - " V1 " ")));
	assert_int_equal(plan(f, ACCOUNT_LOCK, (struct account){ .name = S("bob@x"), .reason = S("stolen\nphone") }).class, OK);
	assert_true(str_starts(buf_view(&f->plan.changes), S("bob@x - " V1 " 3000 locked=")));
	assert_true(str_ends(buf_view(&f->plan.changes), S(" stolen phone\n")));
	assert_int_equal(plan(f, ACCOUNT_UNLOCK, alice).class, OK);
	assert_text(&f->plan.changes, "");
	assert_text(&f->plan.file, ALICE PHONE BOB);
	buf_clear(&f->plan.file);
	assert_int_equal(accounts_plan_all(f->a, &f->plan).class, OK);
	assert_text(&f->plan.changes, ALICE PHONE BOB);
	/* nothing was done */
	assert_int_equal(accounts_refresh(f->a).class, OK);
	assert_int_equal(accounts_generation(f->a), 0);
}

static void refusals_are_those_of_a_change(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(plan(f, ACCOUNT_ADD, (struct account){ .name = S("bob@x"), .verifier = S(V1) }).class, PERM);
	assert_int_equal(plan(f, ACCOUNT_ADD, (struct account){ .name = S("carol@x"), .verifier = S("x") }).class, PERM);
	assert_int_equal(plan(f, ACCOUNT_REMOVE, (struct account){ .name = S("carol@x") }).class, PERM);
	assert_int_equal(plan(f, ACCOUNT_LOCK, (struct account){ .name = S("bob x") }).class, PERM);
	assert_int_equal(plan(f, ACCOUNT_UNLOCK + 1, (struct account){ .name = S("bob@x") }).class, PERM);
	assert_text(&f->plan.changes, "");
}

static void removals(void **state)
{
	static const struct {
		const char *line, *name, *device; /* name NULL: it is none */
	} rows[] = {
		{ "alice@x -", "alice@x", "" }, { "alice@x phone", "alice@x", "phone" },
		{ "alice@x", NULL, NULL },      { "alice@x ", NULL, NULL },
		{ " -", NULL, NULL },           { "alice@x a b", NULL, NULL },
		{ "a:b@x -", NULL, NULL },      { "", NULL, NULL },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str name, device;
		bool good = account_parse_removal(str_of(rows[i].line), &name, &device);

		assert_int_equal(good, rows[i].name != NULL);
		if (good)
			assert_true(str_eq(name, str_of(rows[i].name)) && str_eq(device, str_of(rows[i].device)));
	}
}

/* ---- following ---- */

static void a_file_of_this_machine_is_kept(void **state)
{
	struct fixture *f = *state;
	size_t lost;
	struct stat st;

	assert_false(accounts_are_copied(f->a));
	assert_int_equal(accounts_follow(f->a, S(BOB ALICE), &lost).class, OK); /* in any order */
	assert_int_equal(lost, 1);
	assert_int_equal(accounts_refresh(f->a).class, OK);
	assert_true(accounts_are_copied(f->a));
	assert_int_equal(accounts_count(f->a), 2);
	assert_int_equal(stat(f->kept, &st), 0);
	assert_int_equal(st.st_size, strlen(ALICE PHONE BOB));

	/* a copy is not kept, and is left alone when it is right */
	assert_int_equal(unlink(f->kept), 0);
	assert_int_equal(accounts_follow(f->a, S(ALICE), &lost).class, OK);
	assert_int_equal(lost, 0);
	assert_int_equal(accounts_refresh(f->a).class, OK);
	assert_int_equal(accounts_count(f->a), 1);
	assert_int_equal(accounts_generation(f->a), 2);
	assert_int_equal(accounts_follow(f->a, S(ALICE), &lost).class, OK);
	assert_int_equal(accounts_refresh(f->a).class, OK);
	assert_int_equal(accounts_generation(f->a), 2);
	assert_int_equal(stat(f->kept, &st), -1);
	assert_int_equal(accounts_follow(f->a, S(""), &lost).class, OK);
	assert_int_equal(accounts_refresh(f->a).class, OK);
	assert_int_equal(accounts_count(f->a), 0);
	assert_false(accounts_missing(f->a));

	/* who changes it here has a file of his own again */
	assert_int_equal(accounts_change(f->a, ACCOUNT_ADD, S("dave@x"), S(""), S(V1), 0).class, OK);
	assert_false(accounts_are_copied(f->a));
}

static void what_the_table_has_need_not_be_kept(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	size_t lost;

	assert_int_equal(accounts_follow(f->a, S(ALICE PHONE BOB "carol@x - " V2 " 1\n"), &lost).class, OK);
	assert_int_equal(lost, 0);
	assert_int_equal(stat(f->kept, &st), -1);
	assert_int_equal(accounts_refresh(f->a).class, OK);
	assert_int_equal(accounts_count(f->a), 4);
}

static void an_older_file_that_was_kept_stays(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	size_t lost;

	assert_int_equal(accounts_follow(f->a, S(ALICE), &lost).class, OK);
	write_file(f, BOB);
	assert_int_equal(accounts_follow(f->a, S(ALICE), &lost).class, OK);
	assert_int_equal(lost, 1);
	assert_int_equal(stat(f->kept, &st), 0);
	assert_int_equal(st.st_size, strlen(ALICE PHONE BOB));
}

static void a_malformed_line_changes_nothing(void **state)
{
	static const char *const texts[] = { ALICE "alice@x\n", "x\n", ALICE ALICE, "alice@x - " SALT KEY1 " 1\n",
					     "alice@x - " V1 " x\n" };
	struct fixture *f = *state;
	size_t lost;

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		assert_int_equal(accounts_follow(f->a, str_of(texts[i]), &lost).class, TEMP);
		assert_int_equal(accounts_refresh(f->a).class, OK);
		assert_int_equal(accounts_generation(f->a), 0);
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_plan_has_what_differs),
		CASE(refusals_are_those_of_a_change),
		CASE(removals),
		CASE(a_file_of_this_machine_is_kept),
		CASE(what_the_table_has_need_not_be_kept),
		CASE(an_older_file_that_was_kept_stays),
		CASE(a_malformed_line_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
