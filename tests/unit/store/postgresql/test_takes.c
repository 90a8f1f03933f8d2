/* test_takes.c - many leases and many results at once; what a take reads of the database while somebody looks at an old state. */
#include "../engine_under_test.h"

#include "cluster.h"

#include <libpq-fe.h>

#define TAKES   200
#define STEP_MS 10000 /* between the times at which messages are due: more than a cursor stays behind */
#define LATER   (NOW + 100ull * TAKES * STEP_MS)

static const char *words(struct fixture *f)
{
	return arena_cstr(&f->arena,
			  arena_printf(&f->arena, "host=%s port=5432 user=postgres dbname=store", cluster_directory()));
}

static uint64_t number(struct fixture *f, const char *sql)
{
	return strtoull(cluster_sql(words(f), sql), NULL, 10);
}

static void accept_at(struct fixture *f, uint64_t id, const char *to, uint64_t at)
{
	struct accepted *m = message(f, id, to);

	m->received_at = at;
	assert_int_equal(accept_now(f, m).class, OK);
}

static uint64_t take_one(struct fixture *f, uint64_t lane)
{
	struct answer a = lease_now(f, lane, LATER, 1);

	assert_int_equal(a.n, 1);
	return ((const struct due_message *)a.rows)[0].id;
}

/* ---- an old snapshot ---- */

static void an_old_snapshot_does_not_make_takes_dearer(void **state)
{
	struct fixture *f = *state;
	PGconn *old = PQconnectdb(words(f));
	uint64_t lane;

	for (uint64_t i = 0; i < TAKES; i++)
		accept_at(f, 100 + i, "b@a.org", NOW + i * STEP_MS);
	lane = lane_of(f, "a.org");
	PQclear(PQexec(old, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
	PQclear(PQexec(old, "SELECT 1 FROM due"));
	for (uint64_t i = 0; i < TAKES; i++)
		assert_int_equal(take_one(f, lane), 100 + i);
	fixture_close(f); /* the server counts what a connection has done when it ends */
	while (number(f, "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'posthouse/%'"
			 " AND datname=current_database()") > 0)
		;
	/* Without a cursor take i reads the i rows before its own. */
	assert_in_range(number(f, "SELECT idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname='due_lane'"), TAKES,
			TAKES * 6);
	PQfinish(old);
	assert_int_equal(fixture_open(f).class, OK);
}

static void a_lane_is_told_of_older_mail(void **state)
{
	struct fixture *f = *state;
	uint64_t lane;

	for (uint64_t i = 0; i < 20; i++)
		accept_at(f, 100 + i, "b@a.org", NOW + i * STEP_MS);
	lane = lane_of(f, "a.org");
	for (uint64_t i = 0; i < 15; i++)
		assert_int_equal(take_one(f, lane), 100 + i);
	accept_at(f, 200, "b@a.org", NOW);
	assert_int_equal(take_one(f, lane), 200);
	assert_int_equal(take_one(f, lane), 115);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 1).class, OK);
	assert_int_equal(lease_now(f, lane, LATER, 10).n, 5);
	assert_int_equal(lease_now(f, lane, LATER, 10).n, 0);
}

/* ---- many at once ---- */

static void leases_of_one_batch(void **state)
{
	struct fixture *f = *state;
	struct answer answers[12];
	uint64_t lanes[4];
	size_t n = 0;

	for (uint64_t i = 0; i < 4; i++) {
		const char *to = arena_cstr(&f->arena, arena_printf(&f->arena, "b@d%d.org c@d%d.org", (int)i, (int)i));

		for (uint64_t k = 0; k < 4; k++)
			accept_at(f, 100 + 10 * i + k, to, NOW);
		lanes[i] = lane_of(f, arena_cstr(&f->arena, arena_printf(&f->arena, "d%d.org", (int)i)));
	}
	for (size_t i = 0; i < 12; i++) { /* three of each lane: four messages, no more */
		answers[i] = (struct answer){ .f = f };
		store_lease(f->st, lanes[i % 4], NOW, i < 4 ? 3 : 2, i % 2 == 0, on_due, &answers[i]);
	}
	for (size_t i = 0; i < 12; i++) {
		const struct due_message *m;

		answer_wait(f, &answers[i]);
		m = answers[i].rows;
		assert_int_equal(answers[i].n, i < 4 ? 3 : i < 8 ? 1 : 0);
		for (size_t k = 0; k < answers[i].n; k++) {
			assert_int_equal((m[k].id - 100) / 10, i % 4);
			assert_int_equal(m[k].recipients_n, 2);
			assert_int_equal(m[k].text.n > 0, i % 2 == 0);
			assert_int_equal(m[k].others_open, 0);
			n += m[k].recipients_n;
		}
	}
	assert_int_equal(n, 32);
	engine_check(f);
}

static struct outcome result(uint64_t id, uint64_t n, enum recipient_state state)
{
	return (struct outcome){ .id = id,
				 .n = n,
				 .state = state,
				 .due_at = NOW + 5,
				 .at = NOW,
				 .verdict = { .class = OK, .code = 250, .text = S("Ok") },
				 .event = S("delivery.sent"),
				 .event_fields = S(""),
				 .transcript = S("250 Ok") };
}

/* Of two messages with two recipients each, one after another; the first of the second message twice. */
static void results_of_one_batch(void **state)
{
	struct fixture *f = *state;
	struct outcome o[5] = { result(100, 2, RCPT_DELIVERED), result(101, 2, RCPT_WAITING), result(100, 1, RCPT_DELIVERED),
				result(101, 1, RCPT_DELIVERED), result(101, 1, RCPT_WAITING) };
	struct answer answers[5], a;

	accept_at(f, 100, "b@a.org c@a.org", NOW);
	accept_at(f, 101, "b@a.org c@a.org", NOW);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 10).n, 2);
	for (size_t i = 0; i < 5; i++) {
		answers[i] = (struct answer){ .f = f };
		settle_begin(f, &o[i], 1, &answers[i]);
	}
	for (size_t i = 0; i < 5; i++) {
		answer_wait(f, &answers[i]);
		assert_int_equal(answers[i].v.class, OK);
	}
	assert_int_equal(stats_now(f).open_messages, 1);
	assert_int_equal(stats_now(f).waiting, 1);
	a = lease_now(f, lane_of(f, "a.org"), NOW + 5, 10);
	assert_int_equal(a.n, 1);
	assert_int_equal(((const struct due_message *)a.rows)[0].id, 101);
	assert_int_equal(((const struct due_message *)a.rows)[0].recipients[0].n, 2);
	engine_check(f);
}

/* ---- taken again by the node that still delivers from before its death ---- */

static void an_old_delivery_does_not_end_a_new_one(void **state)
{
	struct fixture *f = *state;
	struct outcome o[3];
	struct answer answers[3];
	uint64_t take_no[2];

	accept_at(f, 100, "b@a.org", NOW);
	for (size_t i = 0; i < 2; i++) {
		struct answer a = lease_now(f, lane_of(f, "a.org"), LATER * 2, 1);

		assert_int_equal(a.n, 1);
		take_no[i] = ((const struct due_message *)a.rows)[0].recipients[0].take_no;
		if (i == 0)
			(void)number(f, "UPDATE node SET state='dead',epoch=epoch+1");
		accept_at(f, 101 + i, "b@b.org", NOW); /* it is a member again */
	}
	assert_true(take_no[1] > take_no[0]);
	for (size_t i = 0; i < 3; i++) { /* the first one alone, the others at once */
		o[i] = result(100, 1, i == 2 ? RCPT_DELIVERED : i == 1 ? RCPT_FAILED : RCPT_WAITING);
		o[i].take_no = take_no[i / 2];
		o[i].at += i;
		answers[i] = (struct answer){ .f = f };
		settle_begin(f, &o[i], 1, &answers[i]);
		if (i != 1)
			answer_wait(f, &answers[i]);
		if (i == 0)
			assert_int_equal(number(f, "SELECT take_no FROM taken"), take_no[1]);
	}
	assert_int_equal(answers[1].v.class, OK);
	assert_int_equal(answers[2].v.class, OK);
	assert_int_equal(stats_now(f).failed, 0);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	assert_str(events(f, 100), "mail.accepted delivery.unknown delivery.late delivery.late delivery.sent");
}

/* ---- what a failover must not undo ---- */

static void promises_wait_for_the_standby(void **state)
{
	struct fixture *f = *state;
	uint64_t beat;

	cluster_demand_synchronous(words(f), "message,recipient,due,taken,bucket,node");
	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), LATER, 1).n, 1);
	assert_int_equal(siblings_now(f, 100, LATER, 10).n, 1);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW).class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_DELIVERED, 0).class, OK);
	beat = number(f, "SELECT beat FROM node");
	for (unsigned i = 0; i < 1000 && number(f, "SELECT beat FROM node") < beat + 2; i++)
		usleep(10000);
	assert_true(number(f, "SELECT beat FROM node") >= beat + 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_old_snapshot_does_not_make_takes_dearer, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_lane_is_told_of_older_mail, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(leases_of_one_batch, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(results_of_one_batch, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(an_old_delivery_does_not_end_a_new_one, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(promises_wait_for_the_standby, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
