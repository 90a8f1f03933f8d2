/* test_policies.c - what is kept, and for how long, with a clock that the test sets; and a file that is damaged. */
#include "failures.h"
#include "policies.h"
#include "steady.h"

#include "posthouse/units.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW UINT64_C(1800000000000)

static char directory[64], path[128];
static struct arena arena;
static struct store store;

static int setup(void **state)
{
	snprintf(directory, sizeof directory, "/tmp/posthouse-test-policies-XXXXXX");
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/tlspolicy.db", directory);
	store = (struct store){ 0 };
	store_open(&store, path);
	return store.handle ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	store_close(&store);
	arena_fini(&arena);
	snprintf(command, sizeof command, "rm -rf %s", directory);
	return system(command);
}

static void keep(const char *domain, uint64_t fetched_at, uint64_t age_ms, uint64_t refresh_ms)
{
	struct policy_row row = { .id = S("1"),
				  .text = S("version: STSv1"),
				  .fetched_at = fetched_at,
				  .valid_until = fetched_at + age_ms,
				  .refresh_at = fetched_at + refresh_ms,
				  .used_at = fetched_at };

	assert_true(policies_keep(&store, str_of(domain), &row));
}

static bool find(const char *domain, uint64_t now, struct policy_row *row)
{
	return policies_find(&store, &arena, str_of(domain), now, row);
}

static void test_kept_until_it_expires(void **state)
{
	struct policy_row row;

	assert_false(find("a.example", NOW, &row));
	keep("a.example", NOW, DAY_MS, HOUR_MS);
	assert_true(find("a.example", NOW + DAY_MS - 1, &row));
	assert_true(str_eq(row.id, S("1")) && str_eq(row.text, S("version: STSv1")));
	assert_false(find("a.example", NOW + DAY_MS, &row));
	assert_false(find("b.example", NOW, &row));
	assert_int_equal(policies_measure(&store).n, 1);
	keep("a.example", NOW + DAY_MS, DAY_MS, HOUR_MS); /* replaced */
	assert_int_equal(policies_measure(&store).n, 1);
	assert_true(find("a.example", NOW + DAY_MS, &row));
}

static void test_durable(void **state)
{
	struct policy_row row;

	keep("a.example", NOW, DAY_MS, HOUR_MS);
	store_close(&store);
	store_open(&store, path);
	assert_true(find("a.example", NOW, &row));
	assert_true(str_eq(row.id, S("1")));
}

static void test_removed_when_expired(void **state)
{
	struct policy_row row;

	for (unsigned i = 0; i < 1500; i++)
		keep(arena_cstr(&arena, arena_printf(&arena, "d%u.example", i)), NOW, i < 1200 ? HOUR_MS : DAY_MS, HOUR_MS);
	policies_prune(&store, NOW + HOUR_MS);
	assert_int_equal(policies_measure(&store).n, 500);
	policies_prune(&store, NOW + HOUR_MS);
	assert_int_equal(policies_measure(&store).n, 300);
	assert_true(find("d1200.example", NOW + HOUR_MS, &row));
}

/* Those that were not used for longest go, in whatever order they came, and no more than is needed. */
static void test_dropped_beyond_a_bound(void **state)
{
	struct policies_size size, before;
	struct policy_row row;

	store_begin(&store);
	for (unsigned i = 0; i < 1000; i++) {
		keep(arena_cstr(&arena, arena_printf(&arena, "d%u.example", i)), NOW, DAY_MS, HOUR_MS);
		policies_note_use(&store, arena_printf(&arena, "d%u.example", i), NOW + (i + 500) % 1000);
	}
	assert_true(store_commit(&store));
	size = before = policies_measure(&store);
	assert_int_equal(size.n, 1000);
	policies_drop(&store, size.bytes, &size);
	assert_int_equal(size.n, 1000);
	policies_drop(&store, size.bytes / 2, &size);
	assert_int_equal(size.n, policies_measure(&store).n);
	assert_int_equal(size.bytes, policies_measure(&store).bytes);
	assert_true(size.bytes <= before.bytes / 2 && size.n > 350 && size.n <= 500);
	assert_false(find("d500.example", NOW, &row));
	assert_false(find("d999.example", NOW, &row));
	assert_true(find("d499.example", NOW, &row));
	policies_drop(&store, 0, &size);
	assert_int_equal(size.n + size.bytes, 0);
	policies_drop(&store, 0, &size);
}

/* What is measured is what the file takes, or somewhat more. */
static void test_the_measure_is_that_of_the_file(void **state)
{
	char text[2001] = "";
	struct policy_row row = { .id = S("1"), .valid_until = NOW, .text = str_make(text, sizeof text - 1) };
	struct stat st;

	memset(text, 'x', sizeof text - 1);
	store_begin(&store);
	for (unsigned i = 0; i < 2000; i++) {
		row.text.n = i;
		row.refresh_at = row.used_at = i * 7919 % 2000;
		assert_true(policies_keep(&store, arena_printf(&arena, "d%u.%u.example", i * 7919 % 2000, i), &row));
	}
	assert_true(store_commit(&store));
	store_close(&store);
	assert_int_equal(stat(path, &st), 0);
	store_open(&store, path);
	assert_in_range(policies_measure(&store).bytes, st.st_size, 2 * st.st_size);
}

static void test_refresh_is_due(void **state)
{
	keep("late.example", NOW, DAY_MS, 3 * HOUR_MS);
	keep("soon.example", NOW, DAY_MS, HOUR_MS);
	assert_int_equal(policies_due(&store, &arena, NOW).n, 0);
	assert_true(str_eq(policies_due(&store, &arena, NOW + 4 * HOUR_MS), S("soon.example")));
	policies_refresh_at(&store, S("soon.example"), NOW + 5 * HOUR_MS);
	assert_true(str_eq(policies_due(&store, &arena, NOW + 4 * HOUR_MS), S("late.example")));
}

static void test_use_is_noted(void **state)
{
	struct policy_row row;

	keep("a.example", NOW, DAY_MS, HOUR_MS);
	policies_note_use(&store, S("a.example"), NOW + 5);
	assert_true(find("a.example", NOW + 6, &row));
	assert_int_equal(row.used_at, NOW + 5);
}

/* Fetched by a clock that was a year ahead: it counts from now on, for its age. */
static void test_a_policy_from_the_future(void **state)
{
	struct policy_row row;

	keep("a.example", NOW + 365 * DAY_MS, DAY_MS, HOUR_MS);
	assert_true(find("a.example", NOW, &row));
	assert_int_equal(row.valid_until, NOW + DAY_MS);
	policies_mend(&store, NOW);
	assert_true(find("a.example", NOW + HOUR_MS, &row));
	assert_int_equal(row.valid_until, NOW + DAY_MS);
	assert_true(str_eq(policies_due(&store, &arena, NOW), S("a.example")));
	assert_false(find("a.example", NOW + DAY_MS, &row));
}

/* The clock is a year behind for a moment, as after a start without a network: a policy that is looked up then does not lose
 * the rest of its time. */
static void test_a_clock_that_is_behind_for_a_moment(void **state)
{
	struct policy_row row;

	keep("a.example", NOW, DAY_MS, HOUR_MS);
	assert_true(find("a.example", NOW - 365 * DAY_MS, &row));
	assert_int_equal(row.valid_until, NOW - 364 * DAY_MS);
	assert_true(find("a.example", NOW + HOUR_MS, &row));
	assert_int_equal(row.valid_until, NOW + DAY_MS);
	policies_mend(&store, NOW + HOUR_MS);
	assert_true(find("a.example", NOW + HOUR_MS, &row));
	assert_int_equal(row.valid_until, NOW + DAY_MS);
}

/* ---- the file ---- */

static bool is_there(const char *suffix)
{
	return access(arena_cstr(&arena, arena_printf(&arena, "%s%s", path, suffix)), F_OK) == 0;
}

static void write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void test_a_file_of_somebody_else(void **state)
{
	struct policy_row row;
	sqlite3 *other;

	store_close(&store);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "CREATE TABLE policies (x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	store_open(&store, path);
	assert_non_null(store.handle);
	assert_true(is_there(".damaged"));
	keep("a.example", NOW, DAY_MS, HOUR_MS);
	assert_true(find("a.example", NOW, &row));
}

static void test_no_database(void **state)
{
	char text[8192];

	store_close(&store);
	memset(text, 'x', sizeof text);
	write_file(text, sizeof text);
	store_open(&store, path);
	assert_non_null(store.handle);
	assert_true(is_there(".damaged"));
	assert_int_equal(policies_measure(&store).n, 0);
}

/* Pages are overwritten while the role runs: the statement fails, and the next one has a new file. */
static void test_damage_while_it_runs(void **state)
{
	struct policy_row row;
	char text[4096];
	FILE *f;

	for (unsigned i = 0; i < 500; i++)
		keep(arena_cstr(&arena, arena_printf(&arena, "d%u.example", i)), NOW, DAY_MS, HOUR_MS);
	store_close(&store); /* all is in the file itself */
	memset(text, 0x55, sizeof text);
	f = fopen(path, "r+");
	assert_non_null(f);
	for (unsigned page = 1; page < 8; page++) {
		fseek(f, page * 4096L, SEEK_SET);
		fwrite(text, 1, sizeof text, f);
	}
	fclose(f);
	store_open(&store, path);
	for (unsigned i = 0; i < 500; i++)
		(void)find(arena_cstr(&arena, arena_printf(&arena, "d%u.example", i)), NOW, &row);
	assert_non_null(store.handle);
	assert_true(is_there(".damaged"));
	keep("new.example", NOW, DAY_MS, HOUR_MS);
	assert_true(find("new.example", NOW, &row));
}

static void test_no_place_for_the_file(void **state)
{
	struct policy_row row = { .id = S("1"), .text = S("t") };

	store_close(&store);
	store_open(&store, "/nonexistent/tlspolicy.db");
	assert_null(store.handle);
	assert_false(find("a.example", NOW, &row));
	assert_false(policies_keep(&store, S("a.example"), &row));
	assert_int_equal(policies_measure(&store).n, 0);
	policies_prune(&store, NOW);
	store_begin(&store);
	assert_false(store_commit(&store));
}

/* ---- the clock ---- */

static void test_the_clock(void **state)
{
	struct steady s = { 0 };
	uint64_t mono = 1000;

	assert_int_equal(steady_now(&s, NOW, mono), NOW);
	assert_false(steady_is_calm(&s, mono));
	mono += HOUR_MS;
	assert_int_equal(steady_now(&s, NOW + HOUR_MS + 5, mono), NOW + HOUR_MS + 5);
	assert_true(steady_is_calm(&s, mono));
	/* far ahead: not believed, and nothing is removed */
	assert_int_equal(steady_now(&s, NOW + 3650 * DAY_MS, mono + 10), NOW + HOUR_MS + 15);
	assert_false(steady_is_calm(&s, mono + 10));
	assert_int_equal(steady_now(&s, NOW + 3650 * DAY_MS, mono + HOUR_MS), NOW + 2 * HOUR_MS + 5);
	/* right again */
	assert_int_equal(steady_now(&s, NOW + 2 * HOUR_MS, mono + HOUR_MS), NOW + 2 * HOUR_MS);
	assert_false(steady_is_calm(&s, mono + HOUR_MS));
	mono += 2 * HOUR_MS;
	assert_true(steady_is_calm(&s, mono));
	/* set back: believed at once */
	assert_int_equal(steady_now(&s, NOW, mono), NOW);
	assert_false(steady_is_calm(&s, mono));
	/* ahead for more than a day: that is the time then */
	assert_int_equal(steady_now(&s, NOW + 30 * DAY_MS, mono + 1), NOW + 1);
	assert_int_equal(steady_now(&s, NOW + 31 * DAY_MS, mono + 1 + DAY_MS), NOW + 31 * DAY_MS);
	assert_false(steady_is_calm(&s, mono + 1 + DAY_MS));
	assert_true(steady_is_calm(&s, mono + 1 + DAY_MS + HOUR_MS));
}

/* ---- failures ---- */

static void test_failures(void **state)
{
	struct failures f;
	const struct failure *found;

	failures_init(&f);
	failures_add(&f, S("a.example"), S("1"), TLS_RESULT_STS_POLICY_INVALID, S("why"), 1000, 500);
	found = failures_find(&f, S("a.example"), S("1"), 1499);
	assert_true(found && found->fault == TLS_RESULT_STS_POLICY_INVALID && str_eq(found->why, S("why")));
	assert_null(failures_find(&f, S("a.example"), S("1"), 1500));
	assert_null(failures_find(&f, S("a.example"), S("2"), 1000)); /* another policy is another matter */
	assert_null(failures_find(&f, S("b.example"), S("1"), 1000));
	failures_add(&f, S("a.example"), S("2"), TLS_RESULT_STS_WEBPKI_INVALID, S("other"), 1000, 500);
	assert_null(failures_find(&f, S("a.example"), S("1"), 1000));
	for (unsigned i = 0; i < FAILURES_MAX + 100; i++)
		failures_add(&f, arena_printf(&arena, "d%u.example", i), S("1"), TLS_RESULT_STS_POLICY_INVALID, S(""), 1000, 500);
	assert_int_equal(f.by_domain.n, FAILURES_MAX);
	assert_null(failures_find(&f, S("d50.example"), S("1"), 1000));
	assert_non_null(failures_find(&f, S("d10050.example"), S("1"), 1000));
	failures_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_until_it_expires, setup, teardown),
		cmocka_unit_test_setup_teardown(test_durable, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_when_expired, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped_beyond_a_bound, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_measure_is_that_of_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refresh_is_due, setup, teardown),
		cmocka_unit_test_setup_teardown(test_use_is_noted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_policy_from_the_future, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_clock_that_is_behind_for_a_moment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_file_of_somebody_else, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_database, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_while_it_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_place_for_the_file, setup, teardown),
		cmocka_unit_test(test_the_clock),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
	};

	return cmocka_run_group_tests_name("policies", tests, NULL, NULL);
}
