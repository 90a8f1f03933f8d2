/* test_health.c - what is a fault, and what keeps the relay from being ready. */
#include "unit.h"

#include "posthouse/health.h"
#include "posthouse/metrics.h"

#include <stdio.h>

enum { SUBMISSION, LOGIN, VAULT, QUEUE, RELAY, DOCTOR, PROCESSES };

static struct rec_stat takes, listens, away[2];
static struct role_told told[PROCESSES];
static struct health health;
static struct arena arena;

/* All is well. */
static int setup(void **state)
{
	static const enum role_id roles[] = { ROLE_SUBMISSION, ROLE_LOGIN, ROLE_VAULT, ROLE_QUEUE, ROLE_RELAY, ROLE_DOCTOR };

	takes = (struct rec_stat){ .metric = METRIC_QUEUE_TAKES_MAIL, .value = 1 };
	listens = (struct rec_stat){ .metric = METRIC_SUBMISSION_LISTENERS, .value = 2 };
	for (size_t i = 0; i < PROCESSES; i++)
		told[i] = (struct role_told){ .state = { .role = roles[i], .ready = 1 }, .answers = true };
	told[QUEUE].stats = &takes;
	told[SUBMISSION].stats = &listens;
	told[QUEUE].stats_n = told[SUBMISSION].stats_n = 1;
	health = (struct health){ .roles = told, .n = PROCESSES, .store_answers = true };
	arena_reset(&arena);
	return 0;
}

/* Is this sentence among them? "": there are none. */
static void expect(size_t n, const struct str *faults, const char *sentence)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(faults[i], str_of(sentence)))
			return;
	if (*sentence)
		fail_msg("not found: %s", sentence);
	if (n > 0)
		fail_msg("%.*s", STR_ARG(faults[0]));
}

static void expect_both(const char *fault, const char *obstacle)
{
	struct str faults[HEALTH_FAULTS_MAX];

	expect(health_faults(&arena, &health, faults), faults, fault);
	expect(health_obstacles(&arena, &health, faults), faults, obstacle);
}

static void test_all_is_well(void **state)
{
	expect_both("", "");
}

/* The queue says so itself; in the first moments nobody knows why it gives no answer. */
static void test_without_database(void **state)
{
	away[0] = takes;
	away[1] = (struct rec_stat){ .metric = METRIC_QUEUE_DATABASE_AWAY, .value = 1700000000000 };
	told[QUEUE].stats = away;
	told[QUEUE].stats_n = 2;
	health.store_answers = false;
	expect_both("the queue does not answer", "the queue does not answer");
	away[0].value = 0;
	away[0].text = S("the database cannot be reached");
	expect_both("the queue takes no mail: the database cannot be reached",
		    "the queue takes no mail: the database cannot be reached");
	assert_int_equal(health_faults(&arena, &health, (struct str[HEALTH_FAULTS_MAX]){ 0 }), 1);
}

static void test_a_silent_role(void **state)
{
	told[VAULT].answers = false;
	expect_both("vault 0 does not answer", "vault 0 does not answer");
}

/* One sentence about it, not two. */
static void test_a_silent_queue(void **state)
{
	struct str faults[HEALTH_FAULTS_MAX];

	told[QUEUE].answers = health.store_answers = false;
	expect_both("queue 0 does not answer", "queue 0 does not answer");
	assert_int_equal(health_faults(&arena, &health, faults), 1);
	assert_int_equal(health_obstacles(&arena, &health, faults), 1);
}

static void test_a_role_that_starts(void **state)
{
	told[RELAY].state.ready = 0;
	told[RELAY].answers = false;
	expect_both("relay 0 is not ready", "relay 0 is not ready");
}

/* Mail goes on without it. */
static void test_a_role_that_carries_no_mail(void **state)
{
	told[DOCTOR].answers = false;
	expect_both("doctor 0 does not answer", "");
}

static void test_no_mail_is_taken(void **state)
{
	takes.value = 0;
	takes.text = S("the disk is full");
	expect_both("the queue takes no mail: the disk is full", "the queue takes no mail: the disk is full");
}

static void test_a_store_that_hangs(void **state)
{
	health.store_answers = false;
	expect_both("the queue does not answer", "the queue does not answer");
}

static void test_nobody_listens(void **state)
{
	listens.value = 0;
	expect_both("", "no submission process listens for clients");
	told[SUBMISSION].answers = false;
	expect_both("submission 0 does not answer", "no submission process listens for clients");
}

static void test_nothing_is_known(void **state)
{
	health.n = 0;
	expect_both("", "the roles are not known");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
		T(test_all_is_well),
		T(test_without_database),
		T(test_a_silent_role),
		T(test_a_silent_queue),
		T(test_a_role_that_carries_no_mail),
		T(test_a_role_that_starts),
		T(test_a_role_that_carries_no_mail),
		T(test_no_mail_is_taken),
		T(test_a_store_that_hangs),
		T(test_nobody_listens),
		T(test_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
