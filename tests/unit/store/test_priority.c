/* test_priority.c - urgent mail goes first and stops nobody; mail that is kept back; what comes along with a lease. */
#include "fixture.h"

static const struct due_message *due(struct answer a, size_t i)
{
	assert_true(i < a.n);
	return &((const struct due_message *)a.rows)[i];
}

static void accept_urgent(struct fixture *f, uint64_t id, const char *to, unsigned priority, uint64_t received_at)
{
	struct accepted *m = message(f, id, to);

	m->envelope.priority = priority;
	m->received_at = received_at;
	assert_int_equal(accept_now(f, m).class, OK);
}

static void higher_priorities_come_first(void **state)
{
	struct fixture *f = *state;

	accept_urgent(f, 100, "b@low.org", 0, NOW - 3);
	accept_urgent(f, 101, "b@normal.org", PRIORITY_NORMAL, NOW - 2);
	accept_urgent(f, 102, "b@high.org", 14, NOW - 1);
	accept_urgent(f, 103, "b@top.org", PRIORITY_MAX, NOW);
	/* Three of four places by priority; the fourth is for who has waited longest, which has its turn anyway here. */
	assert_str(domains(f, lanes_now(f, NOW, 3)), "top.org high.org normal.org");
	fixture_reopen(f);
	assert_str(domains(f, lanes_now(f, NOW, 4)), "top.org high.org normal.org low.org");
	assert_int_equal(lanes_now(f, NOW, 4).next, 0);
	assert_int_equal(lanes_now(f, NOW, 3).next, NOW); /* there is another one */
	/* What is not due does not count, however urgent. */
	fixture_reopen(f);
	assert_str(domains(f, lanes_now(f, NOW - 2, 3)), "normal.org low.org");
	assert_int_equal(lanes_now(f, NOW - 2, 3).next, NOW - 1);
}

static void a_flood_of_urgent_mail_stops_nobody(void **state)
{
	struct fixture *f = *state;
	unsigned low = 0, pages = 0;
	char to[64];

	for (unsigned i = 0; i < 40; i++) {
		(void)snprintf(to, sizeof(to), "b@urgent%u.org", i);
		accept_urgent(f, 100 + i, to, PRIORITY_MAX, NOW);
	}
	for (unsigned i = 0; i < 4; i++) {
		(void)snprintf(to, sizeof(to), "b@low%u.org", i);
		accept_urgent(f, 200 + i, to, 0, NOW - 1);
	}
	/* They have waited longest: a quarter of the first page. */
	for (; low < 4 && pages < 10; pages++) {
		struct answer a = lanes_now(f, NOW, 8);
		const struct due_lane *l = a.rows;

		assert_int_equal(a.n, 8);
		assert_int_equal(a.next, NOW);
		for (size_t i = 0; i < a.n; i++)
			low += str_starts(l[i].domain, S("low"));
		assert_true(str_starts(l[0].domain, S("urgent")));
	}
	assert_int_equal(pages, 2);
	/* Also when only one lane is asked for at a time. */
	fixture_reopen(f);
	low = 0;
	for (unsigned i = 0; i < 16; i++) {
		struct answer a = lanes_now(f, NOW, 1);

		assert_int_equal(a.n, 1);
		low += str_starts(((const struct due_lane *)a.rows)->domain, S("low"));
	}
	assert_int_equal(low, 4);
}

/* No lane is twice in a page, and each gets its turn, whatever the size of the pages. */
static void each_lane_gets_its_turn(void **state)
{
	struct fixture *f = *state;
	char to[64];

	for (unsigned i = 0; i < 30; i++) {
		(void)snprintf(to, sizeof(to), "b@d%u.org", i);
		accept_urgent(f, 100 + i, to, i % 19, NOW + i % 7);
	}
	for (size_t max = 1; max <= 31; max++) {
		bool seen[64] = { false };
		unsigned n = 0;

		for (unsigned page = 0; page < 130 && n < 30; page++) {
			struct answer a = lanes_now(f, NOW + 7, max);
			const struct due_lane *l = a.rows;

			assert_int_equal(a.n, max < 30 ? max : 30);
			for (size_t i = 0; i < a.n; i++) {
				unsigned domain = (unsigned)atoi(l[i].domain.p + 1);

				for (size_t k = 0; k < i; k++)
					assert_int_not_equal(l[i].lane, l[k].lane);
				n += !seen[domain];
				seen[domain] = true;
			}
		}
		assert_int_equal(n, 30);
	}
}

static void each_priority_has_its_own_lane(void **state)
{
	struct fixture *f = *state;
	struct answer a;

	accept_urgent(f, 100, "b@a.org c@b.org", PRIORITY_NORMAL, NOW);
	accept_urgent(f, 101, "b@a.org", 12, NOW);
	assert_int_equal(engine_lanes(f), 3);
	a = lanes_now(f, NOW, 1);
	a = lease_now(f, ((const struct due_lane *)a.rows)->lane, NOW, 10);
	assert_int_equal(a.n, 1);
	assert_int_equal(due(a, 0)->id, 101);
	assert_int_equal(due(a, 0)->envelope.priority, 12);
	assert_int_equal(settle_now(f, 101, 1, RCPT_WAITING, NOW + 60).class, OK);
	assert_int_equal(show_now(f, 101, 0, 10).message->envelope.priority, 12);
	/* Held and released, it comes back into the lane of its priority. */
	assert_int_equal(alter_now(f, (struct selector){ .id = 101 }, ALTER_HOLD).count, 1);
	assert_int_equal(engine_lanes(f), 2);
	assert_int_equal(alter_now(f, (struct selector){ .id = 101 }, ALTER_RELEASE).count, 1);
	assert_int_equal(engine_lanes(f), 3);
	fixture_reopen(f);
	a = lanes_now(f, clock_now_ms(), 1);
	a = lease_now(f, ((const struct due_lane *)a.rows)->lane, clock_now_ms(), 10);
	assert_int_equal(due(a, 0)->id, 101);
}

static void an_impossible_priority_is_refused(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org");

	m->envelope.priority = PRIORITY_MAX + 1;
	assert_int_equal(accept_now(f, m).class, PERM);
	assert_int_equal(stats_now(f).open_messages, 0);
}

static void a_time_limit_comes_along(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org");
	struct answer a;

	m->envelope.deliver_by = NOW + 600000;
	m->envelope.deliver_by_mode = BY_RETURN | BY_TRACE;
	m->envelope.options = OPTION_REQUIRETLS;
	assert_int_equal(accept_now(f, m).class, OK);
	fixture_reopen(f);
	a = lease_now(f, lane_of(f, "a.org"), NOW, 10);
	assert_int_equal(due(a, 0)->envelope.deliver_by, NOW + 600000);
	assert_int_equal(due(a, 0)->envelope.deliver_by_mode, BY_RETURN | BY_TRACE);
	assert_int_equal(due(a, 0)->envelope.priority, PRIORITY_NORMAL);
	assert_int_equal(due(a, 0)->envelope.options, OPTION_REQUIRETLS);
}

/* RFC 8689: so mail that is content without TLS does not wait behind mail for which TLS fails. */
static void a_wish_about_tls_has_a_lane_of_its_own(void **state)
{
	struct fixture *f = *state;
	static const uint64_t options[] = { 0, OPTION_REQUIRETLS, OPTION_TLS_OPTIONAL, OPTION_LONG_LINES };
	const struct due_lane *lanes;
	struct accepted *m;

	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		m = message(f, 100 + i, "b@a.org");
		m->envelope.options = options[i];
		assert_int_equal(accept_now(f, m).class, OK);
	}
	m = message(f, 104, "b@a.org"); /* the null sender: it is not lost for want of REQUIRETLS */
	m->envelope.options = OPTION_REQUIRETLS;
	m->envelope.sender = S("");
	assert_int_equal(accept_now(f, m).class, OK);
	fixture_reopen(f);
	assert_int_equal(engine_lanes(f), 3);
	lanes = lanes_now(f, NOW, 10).rows;
	assert_int_equal(1 << lanes[0].wish | 1 << lanes[1].wish | 1 << lanes[2].wish,
			 1 << TLS_WISH_NONE | 1 << TLS_WISH_REQUIRE | 1 << TLS_WISH_OPTIONAL);
	/* Held and released, it comes back into the lane of its wish. */
	assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_HOLD).count, 1);
	assert_int_equal(engine_lanes(f), 2);
	assert_int_equal(alter_now(f, (struct selector){ .id = 102 }, ALTER_RELEASE).count, 1);
	assert_int_equal(engine_lanes(f), 3);
}

static void what_is_kept_back_is_due_then(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org c@b.org");
	uint64_t release_at = clock_now_ms() + 3600000;
	const struct message_row *row;

	m->envelope.release_at = release_at;
	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(accept_to(f, 101, "b@a.org").class, OK);
	row = show_now(f, 100, 0, 10).message;
	assert_int_equal(row->envelope.release_at, release_at);
	assert_int_equal(row->due_at, release_at);
	assert_int_equal(show_now(f, 101, 0, 10).message->envelope.release_at, 0);
	assert_str(domains(f, lanes_now(f, NOW, 10)), "a.org");
	assert_int_equal(lanes_now(f, NOW, 10).next, release_at);
	assert_int_equal(lease_now(f, lane_of(f, "a.org"), NOW, 10).n, 1);
	/* An administrator may retry, hold and release: none of it makes it go earlier. */
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_RETRY).count, 1);
	assert_int_equal(show_now(f, 100, 0, 10).message->due_at, release_at);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_HOLD).count, 1);
	assert_int_equal(alter_now(f, (struct selector){ .id = 100 }, ALTER_RELEASE).count, 1);
	assert_int_equal(show_now(f, 100, 0, 10).message->due_at, release_at);
	fixture_reopen(f);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), release_at - 1, 10).n, 0);
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), release_at, 10).n, 1);
}

static void mail_may_be_held_from_the_start(void **state)
{
	struct fixture *f = *state;
	struct accepted *m = message(f, 100, "b@a.org c@b.org");
	struct answer a;

	m->held = S("over the limit of \"recipients\"");
	assert_int_equal(accept_now(f, m).class, OK);
	assert_int_equal(accept_now(f, m).class, OK); /* the same again */
	fixture_reopen(f);
	assert_int_equal(stats_now(f).held, 2);
	assert_int_equal(stats_now(f).waiting, 0);
	assert_int_equal(engine_lanes(f), 0);
	assert_int_equal(lanes_now(f, NOW, 10).n, 0);
	assert_str(show_now(f, 100, 0, 10).message->held, "over the limit of \"recipients\"");
	assert_str(events(f, 100), "mail.accepted mail.held");
	a = trace_now(f, 100, 0, 10);
	assert_str(event_fields(&a, 1), "reason=\"over the limit of \\\"recipients\\\"\"");
	a = alter_now(f, (struct selector){ .user = S("alice") }, ALTER_RELEASE);
	assert_int_equal(a.count, 1);
	assert_int_equal(stats_now(f).held, 0);
	assert_int_equal(stats_now(f).waiting, 2);
	assert_str(show_now(f, 100, 0, 10).message->held, "");
	assert_int_equal(lease_now(f, lane_of(f, "b.org"), clock_now_ms(), 10).n, 1);
	assert_int_equal(settle_now(f, 100, 2, RCPT_DELIVERED, 0).class, OK);
	assert_int_equal(stats_now(f).open_messages, 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		CASE(higher_priorities_come_first),
		CASE(a_flood_of_urgent_mail_stops_nobody),
		CASE(each_lane_gets_its_turn),
		CASE(each_priority_has_its_own_lane),
		CASE(an_impossible_priority_is_refused),
		CASE(a_time_limit_comes_along),
		CASE(what_is_kept_back_is_due_then),
		CASE(mail_may_be_held_from_the_start),
		CASE(a_wish_about_tls_has_a_lane_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
