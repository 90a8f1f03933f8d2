/* test_verbs.c - mail that an administrator returns or sends another way, what waits by destination, and mail that is imported. */
#include "fixture.h"

static const struct recipient_row *shown(struct fixture *f, uint64_t id, size_t i)
{
	return &((const struct recipient_row *)show_now(f, id, 0, 100).rows)[i];
}

static const struct due_recipient *leased(struct answer a, size_t i)
{
	return &((const struct due_message *)a.rows)[0].recipients[i];
}

static void bounce_fails_recipients(void **state)
{
	struct fixture *f = *state;
	struct answer a;
	const struct unreported *u;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org d@a.org").class, OK);
	assert_int_equal(settle_now(f, 100, 2, RCPT_WAITING, NOW + 9).class, OK);
	assert_int_equal(settle_now(f, 100, 3, RCPT_DELIVERED, 0).class, OK);
	a = alter_now(f, (struct selector){ .id = 100 }, ALTER_BOUNCE);
	assert_int_equal(a.v.class, OK);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.in_flight, 0);
	assert_int_equal(shown(f, 100, 0)->state, RCPT_FAILED);
	assert_str(shown(f, 100, 0)->verdict.text, "returned by the administrator: by \"root\"");
	assert_int_equal(shown(f, 100, 1)->verdict.class, PERM);
	assert_str(shown(f, 100, 1)->verdict.enhanced, "5.3.0");
	assert_str(shown(f, 100, 1)->verdict.text,
		   "returned by the administrator: by \"root\"; last answer: 451 4.7.1 greylisted");
	assert_int_equal(shown(f, 100, 2)->state, RCPT_DELIVERED);
	assert_int_equal(stats_now(f).failed, 2);
	assert_int_equal(stats_now(f).waiting, 0);
	assert_int_equal(engine_lanes(f), 0);
	assert_int_equal(stats_now(f).open_messages, 1); /* its report is still to be made */
	a = unreported_now(f, KIND_FAILURE, NOW, 10);
	u = a.rows;
	assert_int_equal(a.n, 1);
	assert_int_equal(u->failed_n, 2);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_BOUNCE).count, 0); /* it is */
	assert_str(events(f, 100), "mail.accepted recipient.settled recipient.settled mail.bounced");
	assert_int_equal(text_now(f, 100).v.class, OK); /* the report quotes it */
}

/* Held mail is returned too, and only the recipients that the selector names. */
static void bounce_takes_what_is_named(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_HOLD).count, 1);
	assert_int_equal(alter_now(f, (struct selector){ .destination = S("b.org") }, ALTER_BOUNCE).count, 1);
	assert_int_equal(shown(f, 100, 0)->state, RCPT_HELD);
	assert_int_equal(shown(f, 100, 1)->state, RCPT_FAILED);
	assert_true(show_now(f, 100, 0, 1).message->held.n > 0);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_BOUNCE).count, 1);
	assert_int_equal(show_now(f, 100, 0, 1).message->held.n, 0);
}

static void bounce_of_what_is_in_flight(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	for (uint64_t id = 100; id < 103; id++)
		assert_int_equal(accept_to(f, id, "b@a.org").class, OK);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 10).n, 3);
	a = alter_now(f, (struct selector){ .user = S("alice") }, ALTER_BOUNCE);
	assert_int_equal(a.in_flight, 3);
	assert_int_equal(a.n, 3);
	assert_int_equal(settle_now(f, 100, 1, RCPT_DELIVERED, 0).class, OK); /* it was too late */
	assert_int_equal(shown(f, 100, 0)->state, RCPT_DELIVERED);
	assert_int_equal(settle_now(f, 101, 1, RCPT_WAITING, NOW + 9).class, OK);
	assert_int_equal(shown(f, 101, 0)->state, RCPT_FAILED);
	assert_str(shown(f, 101, 0)->verdict.text, "returned by the administrator: by \"root\"");
	assert_str(events(f, 101), "mail.accepted recipient.settled mail.bounced");
	fixture_reopen(f); /* the result of 102 was never heard */
	assert_int_equal(shown(f, 102, 0)->state, RCPT_FAILED);
	assert_str(shown(f, 102, 0)->verdict.text, "returned by the administrator: by \"root\"");
	assert_int_equal(stats_now(f).failed, 2);
	assert_int_equal(stats_now(f).open_messages, 2);
	assert_int_equal(unreported_now(f, KIND_FAILURE, NOW, 10).n, 2);
}

static void rerouted_recipients_have_a_lane_of_their_own(void **state)
{
	struct fixture *f = *state;
	uint64_t later = clock_now_ms() + 1000000, own;
	struct answer a, lanes;

	assert_int_equal(accept_to(f, 100, "b@a.org c@b.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, later).class, OK);
	assert_false(stats_now(f).rerouted);
	assert_int_equal(reroute_now(f, (struct selector){ .id = 100, .destination = S("a.org") }, "backup").count, 1);
	assert_true(stats_now(f).rerouted);
	assert_int_equal(reroute_now(f, (struct selector){ .id = 100, .destination = S("a.org") }, "backup").count, 0);
	assert_int_equal(engine_lanes(f), 3);
	fixture_reopen(f);
	assert_true(stats_now(f).rerouted);
	assert_str(shown(f, 100, 0)->via, "backup");
	assert_str(shown(f, 100, 1)->via, "");
	lanes = lanes_now(f, clock_now_ms(), 10);
	assert_int_equal(lanes.n, 3); /* it is due now */
	own = lane_of(f, "a.org");
	for (size_t i = 0; i < 3; i++) {
		const struct due_lane *l = &((const struct due_lane *)lanes.rows)[i];

		assert_true(str_eq(l->via, l->lane == own ? S("backup") : S("")));
	}
	a = lease_now(f, own, clock_now_ms(), 10);
	assert_int_equal(a.n, 1);
	assert_str(leased(a, 0)->via, "backup");
	/* It comes back and stays there. */
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 9).class, OK);
	a = lease_now(f, lane_of(f, "a.org"), clock_now_ms(), 10);
	assert_str(leased(a, 0)->via, "backup");
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 9).class, OK);
	assert_int_equal(reroute_now(f, (struct selector){ .id = 100 }, "").count, 1);
	assert_int_equal(engine_lanes(f), 2);
	assert_str(shown(f, 100, 0)->via, "");
	a = trace_now(f, 100, 0, 2);
	a = trace_now(f, 100, a.next, 1);
	assert_str(((const struct event_row *)a.rows)[0].name, "mail.rerouted");
	assert_str(event_fields(&a, 0), "via=backup reason=\"isp is down\"");
}

static void reroute_of_held_and_leased(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	assert_int_equal(accept_to(f, 100, "b@a.org").class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_HOLD).count, 1);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 10).n, 1);
	a = reroute_now(f, (struct selector){ 0 }, "mx");
	assert_int_equal(a.count, 2);
	assert_int_equal(a.in_flight, 1);
	assert_int_equal(a.n, 1);
	assert_int_equal(shown(f, 100, 0)->state, RCPT_HELD); /* not let go by this */
	assert_int_equal(settle_now(f, 101, 1, RCPT_WAITING, NOW + 9).class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_RELEASE).count, 1);
	assert_int_equal(engine_lanes(f), 1);
	a = lease_now(f, lane_of(f, "a.org"), clock_now_ms(), 10);
	assert_int_equal(a.n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_str(((const struct due_message *)a.rows)[i].recipients[0].via, "mx");
}

/* All pages as "destination recipients held oldest reply; …". */
static struct str summary(struct fixture *f, size_t max)
{
	struct str all = S("");
	uint64_t cursor = 0;

	do {
		struct answer a = summary_now(f, cursor, max);
		const struct summary_row *rows = a.rows;

		assert_int_equal(a.v.class, OK);
		for (size_t i = 0; i < a.n; i++)
			all = arena_printf(&f->arena, "%.*s%.*s %llu %llu %llu %.*s; ", STR_ARG(all),
					   STR_ARG(rows[i].destination), (unsigned long long)rows[i].recipients,
					   (unsigned long long)rows[i].held, (unsigned long long)(rows[i].oldest_at - NOW),
					   STR_ARG(rows[i].reply));
		cursor = a.next;
	} while (cursor);
	return all;
}

static void what_waits_by_destination(void **state)
{
	struct fixture *f = *state;
	struct accepted *m;
	struct answer a;

	assert_str(summary(f, 10), "");
	assert_int_equal(accept_to(f, 100, "b@a.org c@B.org d@a.org").class, OK);
	m = message(f, 101, "x@b.org");
	m->received_at = NOW + 5000;
	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(accept_to(f, 102, "gone@c.org").class, OK);
	assert_int_equal(settle_now(f, 102, 1, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(settle_now(f, 100, 1, RCPT_WAITING, NOW + 7000).class, OK);
	assert_int_equal(alter_now(f, (struct selector){ .id = 101 }, ALTER_HOLD).count, 1);
	assert_str(summary(f, 10), "a.org 2 0 0 451 4.7.1 greylisted; b.org 2 1 0 ; ");
	assert_str(summary(f, 1), "a.org 2 0 0 451 4.7.1 greylisted; b.org 1 0 0 ; b.org 1 1 5000 ; ");
	a = summary_now(f, 0, 10);
	assert_int_equal(((const struct summary_row *)a.rows)[0].ages[SUMMARY_AGES - 1], 2); /* they are of 2023 */
}

/* More messages than are counted at once. */
static void what_waits_of_many_messages(void **state)
{
	struct fixture *f = *state;
	enum { N = 350 };
	struct accepted *all[N];

	for (size_t i = 0; i < N; i++) {
		all[i] = message(f, 100 + i, i % 50 == 0 ? "b@a.org c@rare.org" : "b@a.org");
		all[i]->received_at = NOW + i;
	}
	accept_all(f, all, N);
	assert_int_equal(alter_now(f, (struct selector){ .id = 400 }, ALTER_HOLD).count, 1);
	assert_str(summary(f, 1000), "a.org 350 1 0 ; rare.org 7 1 0 ; ");
	assert_str(summary(f, 300), "a.org 300 0 0 ; rare.org 6 0 0 ; a.org 50 1 300 ; rare.org 1 1 300 ; ");
}

static void a_message_to_very_many_domains(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org");
	struct new_recipient *all = ARENA_ARRAY(&f->arena, struct new_recipient, 1000);
	struct answer a;
	uint64_t sum = 0;

	for (size_t i = 0; i < 1000; i++)
		all[i].address = arena_printf(&f->arena, "b@d%zu.org", i);
	m->recipients = all;
	m->recipients_n = 1000;
	assert_int_equal(accept_now(f, m).class, OK);
	a = summary_now(f, 0, 10);
	assert_true(a.n < 500);
	for (size_t i = 0; i < a.n; i++)
		sum += ((const struct summary_row *)a.rows)[i].recipients;
	assert_int_equal(sum, 1000);
	assert_str(((const struct summary_row *)a.rows)[a.n - 1].destination, "*");
	assert_int_equal(summary_now(f, a.next, 10).n, 0);
}

/* A message can come with recipients that are held, and with those that go another way. */
static void accepted_as_it_was(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org c@a.org d@a.org");
	struct new_recipient *all = ARENA_ARRAY(&f->arena, struct new_recipient, 3);
	struct answer a;

	memcpy(all, m->recipients, 3 * sizeof(*all));
	all[0].held = true;
	all[1].via = S("mx");
	all[2].orcpt = S("rfc822;d@a.org");
	all[2].notify = 1;
	m->recipients = all;
	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(accept_now(f, m).class, OK); /* once */
	assert_int_equal(stats_now(f).held, 1);
	assert_int_equal(stats_now(f).waiting, 2);
	assert_int_equal(engine_lanes(f), 2);
	assert_int_equal(shown(f, 100, 0)->state, RCPT_HELD);
	assert_str(shown(f, 100, 1)->via, "mx");
	assert_str(shown(f, 100, 2)->orcpt, "rfc822;d@a.org");
	assert_int_equal(shown(f, 100, 2)->notify, 1);
	a = show_now(f, 100, 0, 1);
	assert_int_equal(a.message->token, m->token);
	assert_int_equal(a.message->header_size, m->header_size);
	assert_int_equal(a.message->warn_at, m->warn_at);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(bounce_fails_recipients),     CASE(bounce_takes_what_is_named),
		CASE(bounce_of_what_is_in_flight), CASE(rerouted_recipients_have_a_lane_of_their_own),
		CASE(reroute_of_held_and_leased),  CASE(what_waits_by_destination),
		CASE(what_waits_of_many_messages), CASE(a_message_to_very_many_domains),
		CASE(accepted_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
