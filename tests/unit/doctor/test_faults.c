/* test_faults.c - the postmaster is told when two looks agree, once a fault, and once when it is mended. */
#include "../config/fixture.h"

#include "faults.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define APART 1800000

static struct doctor_finding finding(enum doctor_result result, const char *subject)
{
	return (struct doctor_finding){ .check = CHECK_PTR_EXISTS,
					.result = result,
					.subject = str_of(subject),
					.text = S("has no reverse name"),
					.why = S("Because."),
					.remedy = { .text = S("Ask.") } };
}

/* One look; what there is to tell is told. */
static struct faults_news look(struct faults *f, struct arena *a, struct doctor_finding one, uint64_t now)
{
	struct faults_news news = faults_compare(f, a, &one, 1, now, APART);

	faults_told(f, news.known);
	return news;
}

static void test_once(void **state)
{
	struct arena a = { 0 };
	struct faults f;
	struct faults_news news;
	struct doctor_finding bad = finding(DOCTOR_FAILURE, "203.0.113.25"), good = finding(DOCTOR_OK, "203.0.113.25"),
			      unknown = finding(DOCTOR_UNKNOWN, "203.0.113.25"), other = finding(DOCTOR_OK, "203.0.113.26");

	faults_read(&f, "/nowhere/at/all");
	news = look(&f, &a, bad, 1000);
	assert_true(news.waits && news.subject.n == 0);
	news = look(&f, &a, bad, 1000 + APART - 1);
	assert_true(news.waits && news.subject.n == 0);
	news = look(&f, &a, bad, 1000 + APART);
	assert_true(str_eq(news.subject, S("Doctor has found 1 fault")));
	assert_true(str_search(news.words, S("ptr.exists: 203.0.113.25 has no reverse name\nBecause.\nAsk.\n")) < news.words.n);
	assert_false(news.waits);
	assert_int_equal(look(&f, &a, bad, 1000 + 2 * APART).subject.n, 0);
	assert_int_equal(look(&f, &a, unknown, 1000 + 3 * APART).subject.n, 0); /* neither a fault nor mended */
	news = look(&f, &a, good, 1000 + 4 * APART);
	assert_true(str_eq(news.subject, S("1 fault is mended")));
	assert_true(str_search(news.words, S("Mended: 203.0.113.25 has no reverse name")) < news.words.n);
	assert_int_equal(look(&f, &a, good, 1000 + 5 * APART).subject.n, 0);
	/* seen once, gone, seen again: the time begins again; an address that is not ours any more is no fault */
	look(&f, &a, bad, 1000);
	look(&f, &a, good, 2000);
	assert_int_equal(look(&f, &a, bad, 1000 + APART).subject.n, 0);
	look(&f, &a, other, 1000 + APART);
	assert_int_equal(look(&f, &a, bad, 1000 + 3 * APART).subject.n, 0);
	/* a clock that was set back */
	assert_true(look(&f, &a, bad, 500).waits);
	assert_true(look(&f, &a, bad, 500 + APART).subject.n > 0);
	/* advice is never told */
	look(&f, &a, finding(DOCTOR_ADVICE, "x"), 1000);
	assert_int_equal(look(&f, &a, finding(DOCTOR_ADVICE, "x"), 1000 + APART).subject.n, 0);
	faults_free(&f);
	arena_fini(&a);
}

static void test_file(void **state)
{
	struct arena a = { 0 };
	struct faults f, again;
	const char *path = fixture_path("doctor.faults");
	struct doctor_finding bad = finding(DOCTOR_WARNING, "203.0.113.25");

	faults_read(&f, path);
	look(&f, &a, bad, 1000);
	look(&f, &a, bad, 1000 + APART);
	assert_int_equal(faults_write(&f, path), 0);
	assert_int_equal(faults_write(&f, fixture_path("nowhere/doctor.faults")), ENOENT);
	faults_free(&f);
	faults_read(&again, path);
	assert_int_equal(look(&again, &a, bad, 1000 + 2 * APART).subject.n, 0);
	faults_free(&again);
	fixture_write("doctor.faults", "{ half", 0600);
	faults_read(&again, path);
	assert_true(look(&again, &a, bad, 1000).waits);
	faults_free(&again);
	arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_once), cmocka_unit_test(test_file) };

	return cmocka_run_group_tests_name("doctor_faults", tests, fixture_open, fixture_close);
}
