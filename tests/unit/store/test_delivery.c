/* test_delivery.c - lanes and leases, what becomes of recipients. */
#include "engine_under_test.h"
#include "fixture.h"

static const struct due_message *due(struct answer a, size_t i)
{
	assert_true(i < a.n);
	return &((const struct due_message *)a.rows)[i];
}

static const struct recipient_row *shown(struct fixture *f, uint64_t id, size_t i)
{
	return &((const struct recipient_row *)show_now(f, id, 0, 100).rows)[i];
}

/* Three domains in the order of their lanes, which is the engine's. */
static void order_lanes(struct fixture *f, const char *names[3])
{
	for (size_t i = 0; i < 3; i++)
		for (size_t k = i + 1; k < 3; k++)
			if (lane_of(f, names[k]) < lane_of(f, names[i])) {
				const char *earlier = names[k];

				names[k] = names[i];
				names[i] = earlier;
			}
}

/* "1 2", where the numbers stand for the domains. */
#define ASSERT_TURN(a, ...)                                                                                                      \
	do {                                                                                                                     \
		const unsigned turn_[] = { __VA_ARGS__ };                                                                        \
		struct str names_ = S("");                                                                                       \
		for (size_t i_ = 0; i_ < sizeof turn_ / sizeof *turn_; i_++)                                                     \
			names_ = arena_printf(&f->arena, "%.*s%s%s", STR_ARG(names_), i_ ? " " : "", lanes[turn_[i_] - 1]);      \
		assert_str(domains(f, (a)), arena_cstr(&f->arena, names_));                                                      \
	} while (0)

static void lanes_take_turns(void **state)
{
	const char *lanes[] = { "a.org", "b.org", "c.org", "d.org" };
	struct fixture *f = *state;
	struct accepted *late = message(f, 102, "b@d.org");

	assert_int_equal(accept_to(f, 100, "b@a.org b@b.org b@c.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@A.ORG").class, OK);
	assert_int_equal(lanes_now(f, NOW - 1, 10).n, 0);
	assert_int_equal(lanes_now(f, NOW - 1, 10).next, NOW);
	order_lanes(f, lanes);
	ASSERT_TURN(lanes_now(f, NOW, 2), 1, 2);
	ASSERT_TURN(lanes_now(f, NOW, 2), 3, 1);
	ASSERT_TURN(lanes_now(f, NOW, 2), 2, 3);
	ASSERT_TURN(lanes_now(f, NOW, 10), 1, 2, 3);
	assert_int_equal(lanes_now(f, NOW, 2).next, NOW); /* there is another one */
	assert_int_equal(lanes_now(f, NOW, 10).next, 0);
	/* One that comes while a round is on waits for the next, but not longer. */
	fixture_reopen(f);
	ASSERT_TURN(lanes_now(f, NOW, 1), 1);
	late->received_at = NOW + 1;
	assert_int_equal(accept_now(f, late).class, OK);
	ASSERT_TURN(lanes_now(f, NOW + 1, 2), 2, 3);
	ASSERT_TURN(lanes_now(f, NOW + 1, 5), 1, 2, 3, 4);
}

static void another_login_has_its_own_lane(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 101, "b@a.org");
	struct answer a;

	m->envelope.login = S("bob");
	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_int_equal(accept_now(f, m).class, OK);
	a = lanes_now(f, NOW, 10);
	assert_int_equal(a.n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_true(str_eq(((const struct due_lane *)a.rows)[i].login, S("alice")) !=
			    str_eq(((const struct due_lane *)a.rows)[i].login, S("bob")));
	assert_false(str_eq(((const struct due_lane *)a.rows)[0].login, ((const struct due_lane *)a.rows)[1].login));
}

static void leases_are_given_once(void **state)
{
	struct fixture *f = *state;
	struct answer a;
	uint64_t lane;

	assert_int_equal(accept_to(f, 100, "b@a.org c@a.org d@b.org").class, OK);
	assert_int_equal(accept_to(f, 101, "e@a.org").class, OK);
	lane = lane_of(f, "a.org");
	a = lease_now(f, lane, NOW, 1);
	assert_int_equal(a.n, 1);
	assert_int_equal(due(a, 0)->id, 100);
	assert_int_equal(due(a, 0)->recipients_n, 2);
	assert_str(due(a, 0)->recipients[1].address, "c@a.org");
	assert_str(due(a, 0)->text, "Subject: x\r\n\r\nhello\r\n");
	assert_str(due(a, 0)->envelope.sender, "a@example.org");
	assert_str(due(a, 0)->prefix, "Received: x\r\n");
	assert_true(shown(f, 100, 0)->leased);
	assert_false(shown(f, 100, 2)->leased);
	assert_int_equal(shown(f, 100, 0)->node != 0, engine_under_test->node != NULL);
	assert_int_equal(shown(f, 100, 2)->node, 0);
	a = lease_now(f, lane, NOW, 5);
	assert_int_equal(a.n, 1);
	assert_int_equal(due(a, 0)->id, 101);
	assert_int_equal(lease_now(f, lane, NOW, 5).n, 0);
	assert_str(domains(f, lanes_now(f, NOW, 5)), "b.org"); /* a lane with nothing to give is quiet */
	a = siblings_now(f, 100, NOW, 10);
	assert_int_equal(a.n, 1);
	assert_int_equal(due(a, 0)->recipients_n, 1);
	assert_int_equal(due(a, 0)->recipients[0].n, 3);
	assert_int_equal(siblings_now(f, 100, NOW, 10).n, 0);
	/* New mail wakes the lane, and so does a result. */
	assert_int_equal(accept_to(f, 102, "b@a.org").class, OK);
	a = lanes_now(f, NOW, 5);
	assert_int_equal(((const struct due_lane *)a.rows)[0].lane, lane);
	assert_int_equal(lease_now(f, lane, NOW, 5).n, 1);
	assert_int_equal(lease_now(f, lane, NOW, 5).n, 0);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 60).class, OK);
	assert_int_equal(lanes_now(f, NOW, 5).next, NOW + 60);
	a = lanes_now(f, NOW + 60, 5);
	assert_int_equal(((const struct due_lane *)a.rows)[0].lane, lane);
	assert_int_equal(lease_now(f, lane, NOW + 60, 5).n, 1);
	fixture_reopen(f); /* leases end with the process that has them: all are due now at the latest */
	assert_int_equal(lease_now(f, lane, clock_now_ms() + 60, 10).n, 3);
}

static void what_was_asked_for_comes_along(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org c@a.org d@b.org e@c.org");
	struct new_recipient r[4];
	struct answer a;

	memcpy(r, m->recipients, sizeof(r));
	r[1].orcpt = S("rfc822;C+2B@a.org");
	r[1].notify = 6;
	m->recipients = r;
	m->envelope.envid = S("QQ314159");
	m->envelope.ret = 1;
	assert_int_equal(accept_now(f, m).class, OK);
	a = lease_now(f, lane_of(f, "a.org"), NOW, 10);
	assert_str(due(a, 0)->envelope.envid, "QQ314159");
	assert_int_equal(due(a, 0)->envelope.ret, 1);
	assert_int_equal(due(a, 0)->header_size, 12);
	assert_str(due(a, 0)->recipients[1].orcpt, "rfc822;C+2B@a.org");
	assert_int_equal(due(a, 0)->recipients[1].notify, 6);
	assert_int_equal(due(a, 0)->others_open, 2);
	assert_int_equal(settle_now(f, 100, 3, RCPT_FAILED, 0).class, OK); /* still to be told */
	a = siblings_now(f, 100, NOW, 10);
	assert_int_equal(due(a, 0)->recipients_n, 1);
	assert_int_equal(due(a, 0)->others_open, 3);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW).class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 100, 4, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(report_now(f, KIND_FAILURE, NULL, 100, (const uint64_t[]){ 3 }, 1).class, OK);
	assert_int_equal(due(lease_now(f, lane_of(f, "a.org"), NOW, 10), 0)->others_open, 0);
}

static void first_attempts_go_before_retries(void **state)
{
	struct fixture *f = *state;
	struct accepted *late = message(f, 101, "c@a.org");
	struct answer a;
	uint64_t lane;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	lane = lane_of(f, "a.org");
	assert_int_equal(lease_now(f, lane, NOW, 1).n, 1);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 10).class, OK);
	assert_int_equal(lease_now(f, lane, NOW + 9, 1).n, 0);
	late->received_at = NOW + 20;
	assert_int_equal(accept_now(f, late).class, OK);
	a = lease_now(f, lane, NOW + 20, 10);
	assert_int_equal(a.n, 2);
	assert_int_equal(due(a, 0)->id, 101);
	assert_int_equal(due(a, 1)->id, 100);
	assert_int_equal(due(a, 1)->recipients[0].attempts, 1);
}

static void large_groups_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "");
	struct new_recipient *r = ARENA_ARRAY(&f->arena, struct new_recipient, 250);
	struct answer a;
	uint64_t lane;
	size_t n = 0;

	for (size_t i = 0; i < 250; i++)
		r[i].address = arena_printf(&f->arena, "user%zu@a.org", i);
	m->recipients = r;
	m->recipients_n = 250;
	assert_int_equal(accept_now(f, m).class, OK);
	lane = lane_of(f, "a.org");
	a = lease_now(f, lane, NOW, 1000);
	for (size_t i = 0; i < a.n; i++) {
		assert_true(due(a, i)->recipients_n <= 100);
		n += due(a, i)->recipients_n;
	}
	assert_int_equal(n, 250);
}

static void the_last_result_closes(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org c@a.org d@b.org");

	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_WAITING, NOW + 10).class, OK);
	assert_int_equal(shown(f, 100, 1)->attempts, 1);
	assert_int_equal(shown(f, 100, 1)->verdict.code, 451);
	assert_str(shown(f, 100, 1)->verdict.text, "greylisted");
	assert_str(shown(f, 100, 1)->route, "isp");
	assert_int_equal(settle_now(f, 100, 2, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_FAILED, 0).class, OK); /* it is delivered: nothing changes */
	assert_int_equal(engine_lanes(f), 1);
	assert_int_equal(stats_now(f).open_messages, 1);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 1);
	assert_int_equal(settle_now(f, 100, 3, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(show_now(f, 100, 0, 1).message->open, 0);
	assert_int_equal(show_now(f, 100, 0, 1).message->finished_at, NOW + 5);
	assert_int_equal(text_now(f, 100).v.class, PERM);
	assert_int_equal(stats_now(f).open_messages, 0);
	assert_int_equal(stats_now(f).waiting, 0);
	assert_int_equal(engine_lanes(f), 0);
	assert_str(events(f, 100), "mail.accepted recipient.settled recipient.settled recipient.settled recipient.settled");
	assert_int_equal(settle_now(f, 999, 1, RCPT_DELIVERED, 0).class, OK); /* unknown */
}

static void several_results_at_once(void **state)
{
	struct fixture *f = *state;
	struct outcome o[3] = { { .id = 100, .n = 1, .state = RCPT_DELIVERED, .at = NOW },
				{ .id = 101, .n = 1, .state = RCPT_HELD, .died = true, .at = NOW },
				{ .id = 100, .n = 2, .state = RCPT_DELIVERED, .at = NOW } };
	struct answer a = { .f = f };
	char *transcript = arena_alloc(&f->arena, 10000);

	memset(transcript, 't', 10000);
	o[1].transcript = str_make(transcript, 10000);
	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	settle_begin(f, o, 3, &a);
	answer_wait(f, &a);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(stats_now(f).open_messages, 1);
	assert_int_equal(stats_now(f).held, 1);
	assert_int_equal(engine_lanes(f), 0);
	assert_int_equal(trace_now(f, 101, 0, 10).text.n, 4096 + strlen("[recipient 1]\n\n"));
	assert_int_equal(alter_now(f, (struct selector){ .id = 101 }, ALTER_RELEASE).count, 1);
	a = lease_now(f, lane_of(f, "a.org"), clock_now_ms(), 10);
	assert_int_equal(a.n, 1);
	assert_int_equal(((const struct due_message *)a.rows)->recipients[0].deaths, 1);
}

static void gates_are_kept(void **state)
{
	struct fixture *f = *state;
	struct gate_state g = { .name = S("upstream:isp"), .down_until = NOW, .failures = 1, .reason = S("login refused") };
	struct answer a = { .f = f }, b = { .f = f };

	store_gate_put(f->st, &g, on_done, &a);
	answer_wait(f, &a);
	g.failures = 2;
	store_gate_put(f->st, &g, on_done, &b);
	answer_wait(f, &b);
	fixture_reopen(f);
	assert_str(gates(f), "upstream:isp 2 1700000000000 login refused");
}

static void buckets_are_kept(void **state)
{
	struct fixture *f = *state;

	assert_str(buckets(f), "");
	assert_int_equal(put_bucket(f, "upstream:isp", "30/1m", NOW * 1000).class, OK);
	assert_int_equal(put_bucket(f, "upstream:isp", "500/1d", NOW * 1000 + 7).class, OK);
	assert_int_equal(put_bucket(f, "upstream:isp", "30/1m", NOW * 1000 + 5).class, OK);
	fixture_reopen(f);
	assert_str(buckets(f), "upstream:isp 30/1m 1700000000000005; upstream:isp 500/1d 1700000000000007");
	assert_int_equal(prune_now(f, NOW, 10), 0);
	assert_str(buckets(f), "upstream:isp 30/1m 1700000000000005; upstream:isp 500/1d 1700000000000007");
	assert_int_equal(prune_now(f, NOW + 1, 10), 2);
	assert_str(buckets(f), "");
}

static void charges_are_stored_with_their_message(void **state)
{
	struct fixture *f = *state;
	struct bucket_row charges[] = { { S("user:alice"), S("200/1h"), 10, 7 }, { S("user:alice"), S("1000/1d"), 20, 0 } };
	struct bucket_row back = { S("user:alice"), S("200/1h"), 5, 0 };
	struct accepted *m = message(f, 100, "b@a.org"), *other = message(f, 100, "b@a.org");
	struct answer a = { .f = f }, b = { .f = f };

	m->charges = other->charges = charges;
	m->charges_n = other->charges_n = 2;
	assert_int_equal(accept_now(f, m).class, OK);
	assert_str(buckets(f), "user:alice 1000/1d 20; user:alice 200/1h 10 7");
	/* The same again, or refused: nothing is charged. */
	charges[0].tat_us = 99;
	assert_int_equal(accept_now(f, m).class, OK);
	other->token++;
	assert_int_equal(accept_now(f, other).class, PERM);
	store_set_limits(f->st, 1, 1);
	other->id = 101;
	assert_int_equal(accept_now(f, other).code, 452);
	store_set_limits(f->st, 1, 10);
	assert_str(buckets(f), "user:alice 1000/1d 20; user:alice 200/1h 10 7");
	/* In one batch the last one issued stays. */
	store_accept(f->st, other, on_done, &a);
	store_bucket_put(f->st, &back, 1, on_done, &b);
	answer_wait(f, &a);
	answer_wait(f, &b);
	assert_str(buckets(f), "user:alice 1000/1d 20; user:alice 200/1h 5");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(lanes_take_turns),
		CASE(another_login_has_its_own_lane),
		CASE(leases_are_given_once),
		CASE(first_attempts_go_before_retries),
		CASE(large_groups_are_bounded),
		CASE(the_last_result_closes),
		CASE(several_results_at_once),
		CASE(gates_are_kept),
		CASE(what_was_asked_for_comes_along),
		CASE(buckets_are_kept),
		CASE(charges_are_stored_with_their_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
