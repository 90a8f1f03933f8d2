/* test_admission.c - who may come in: connections, failed logins, bans, and what of it survives a restart. */
#include "stored.h"
#include "visits.h"

#include "intake/intake_private.h"

static struct cfg_limits_user users[] = { { .user = { "alice@example.org", 17 }, .connections = 2 } };

static void configure(struct harness *h)
{
	h->config.auth.failures = (struct rate){ 3, 600000 };
	h->config.limits.connections_per_network = 3;
	h->config.limits.users = users;
	h->config.limits.users_n = 1;
	queue_ops.apply(harness_role());
	connect_submission(h);
	connect_console(h);
	UNTIL(h, accounting_is_ready(&h->q->accounting));
}

static int setup(void **state)
{
	struct harness *h = harness_new();

	configure(h);
	*state = h;
	return 0;
}

#define ASSERT_ANSWER(v, c, e)                                                                                                   \
	do {                                                                                                                     \
		struct verdict v_ = (v);                                                                                         \
		assert_int_equal(v_.code, c);                                                                                    \
		assert_true(str_eq(v_.enhanced, S(e)));                                                                          \
	} while (0)

/* Those that are not logged in are counted per network; a login frees its place, and so does leaving. */
static void test_network_connections(void **state)
{
	struct harness *h = *state;

	for (uint64_t s = 1; s <= 3; s++)
		assert_int_equal(admit(h, s, "192.0.2.1").class, OK);
	ASSERT_ANSWER(admit(h, 4, "192.0.2.1"), 421, "4.7.0");
	assert_true(holds(h->answer.text, "at most 3"));
	assert_int_equal(admit(h, 5, "192.0.2.2").class, OK);
	leave(h, 1);
	assert_int_equal(admit(h, 6, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 6, "bob@example.org", "", true).class, OK);
	assert_int_equal(admit(h, 7, "192.0.2.1").class, OK);
	assert_int_equal(admit(h, 8, "192.0.2.1").code, 421);
	leave(h, 4); /* was never let in */
	disconnect(h, &h->submission);
	connect_submission(h);
	assert_int_equal(h->q->accounting.admission.clients.n, 0);
	assert_int_equal(h->q->accounting.admission.places.n, 0);
	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
}

/* A /64 is one network, and IPv4 in IPv6 is IPv4. */
static void test_networks(void **state)
{
	struct harness *h = *state;

	assert_int_equal(admit(h, 1, "2001:db8::1").class, OK);
	assert_int_equal(admit(h, 2, "2001:db8::2").class, OK);
	assert_int_equal(admit(h, 3, "2001:db8:0:0:ffff::3").class, OK);
	assert_int_equal(admit(h, 4, "2001:db8::4").code, 421);
	assert_int_equal(admit(h, 5, "2001:db8:0:1::4").class, OK);
	assert_int_equal(admit(h, 6, "192.0.2.1").class, OK);
	assert_int_equal(admit(h, 7, "::ffff:192.0.2.1").class, OK);
	assert_int_equal(admit(h, 8, "192.0.2.1").class, OK);
	assert_int_equal(admit(h, 9, "::ffff:192.0.2.1").code, 421);
}

static void test_login_connections(void **state)
{
	struct harness *h = *state;

	for (uint64_t s = 1; s <= 3; s++)
		assert_int_equal(admit(h, s, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
	assert_int_equal(log_in(h, 2, ALICE, "phone", true).class, OK);
	ASSERT_ANSWER(log_in(h, 3, ALICE, "", true), 421, "4.7.0");
	leave(h, 1);
	assert_int_equal(log_in(h, 3, ALICE, "", true).class, OK);
	assert_int_equal(admit(h, 4, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 4, "bob@example.org", "", true).class, OK); /* has no such limit */
}

/* The ticket of a login that is over as far as this queue knows. */
static struct str ticket_for(struct harness *h, uint64_t session, const char *login, const char *device)
{
	assert_int_equal(admit(h, session, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, session, login, device, true).class, OK);
	leave(h, session);
	return visit_ticket;
}

static void present(struct harness *h, uint64_t session, const char *login, const char *device, struct str ticket)
{
	struct msg_present m = {
		.session = session, .client = S("192.0.2.1"), .login = str_of(login), .device = str_of(device), .ticket = ticket
	};

	ipc_send_present(h->submission, &m, -1);
}

/* A new queue hears of the sessions that the old one had. */
static void test_present(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };
	struct str first = arena_str(&a, ticket_for(h, 1, ALICE, "")), second = arena_str(&a, ticket_for(h, 2, ALICE, "phone"));

	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	h = *state = harness_again(h, START_MS);
	configure(h);
	connect_login(h);
	present(h, 1, ALICE, "", first);
	present(h, 2, ALICE, "phone", second);
	present(h, 3, "", "", S(""));
	assert_int_equal(admit(h, 4, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 4, ALICE, "", true).code, 421);
	UNTIL(h, h->told_n == 2); /* login judges whether they still hold */
	assert_true(str_eq(h->told.login, S(ALICE)) && str_eq(h->told.device, S("phone")));
	assert_true(h->told.session == 2 && h->told.stamp == VISIT_STAMP);
	assert_true(h->told.worker == 0 && h->told.incarnation == SUBMISSION_INCARNATION);
	leave(h, 2);
	assert_int_equal(log_in(h, 3, ALICE, "", true).class, OK);
	/* who is admitted twice breaks the rules */
	present(h, 3, "", "", S(""));
	UNTIL(h, h->closed_submission);
	arena_fini(&a);
}

/* A login that no queue has agreed to closes the channel: another session's, another login's, more rights, one bit. */
static void test_false_tickets(void **state)
{
	struct harness *h = *state;
	struct arena a = { 0 };
	struct str good = arena_str(&a, ticket_for(h, 1, ALICE, "phone"));

	for (unsigned i = 0; i < 9; i++) {
		char changed[TICKET_SIZE];

		memcpy(changed, good.p, TICKET_SIZE);
		if (i >= 6)
			changed[i == 6 ? 0 : i == 7 ? 8 : TICKET_SIZE - 1] ^= 1; /* the rights, the stamp, the proof */
		switch (i) {
		case 0: present(h, 2, ALICE, "phone", good); break;
		case 1: present(h, 1, "bob@example.org", "phone", good); break;
		case 2: present(h, 1, ALICE, "", good); break;
		case 3: present(h, 1, ALICE "phone", "", good); break;
		case 4: present(h, 1, ALICE, "phone", S("")); break;
		case 5: present(h, 1, ALICE, "phone", str_head(good, TICKET_SIZE - 1)); break;
		default: present(h, 1, ALICE, "phone", str_make(changed, TICKET_SIZE));
		}
		UNTIL(h, h->closed_submission);
		assert_int_equal(h->q->accounting.admission.clients.n, 0);
		h->closed_submission = false;
		connect_submission(h);
	}
	present(h, 1, ALICE, "phone", good);
	assert_int_equal(admit(h, 2, "192.0.2.1").class, OK);
	assert_int_equal(h->q->accounting.admission.logged_in, 1);
	arena_fini(&a);
}

/* login names a session that queue does not know (so far): nothing is counted. */
static void test_unknown_session(void **state)
{
	struct harness *h = *state;

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(log_in(h, 5, ALICE, "", false).class, TEMP);
	assert_true(visit_unknown);
	assert_int_equal(admit(h, 5, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 5, ALICE, "", false).code, 535);
	assert_false(visit_unknown);
}

static void on_ended(void *ctx, struct verdict v, const struct msg_login_ended *m, int fd)
{
	++*(unsigned *)ctx;
}

static void on_checked(void *ctx, struct verdict v, const struct msg_logins_checked *m, int fd)
{
	++*(unsigned *)ctx;
}

/* A login ends before its session: its record at once, and login hears when submission has ended the session. */
static void test_revocation(void **state)
{
	struct harness *h = *state;
	struct msg_login_over over = { .incarnation = SUBMISSION_INCARNATION, .session = 1, .stamp = VISIT_STAMP + 1 };
	unsigned ended = 0, checked = 0;

	struct str ticket;

	h->keeps_sessions = true;
	for (uint64_t s = 1; s <= 3; s++)
		assert_int_equal(admit(h, s, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "phone", true).class, OK);
	ticket = visit_ticket;
	assert_int_equal(log_in(h, 2, "bob@example.org", "@192.0.2.1", true).class, OK);
	ipc_call_logins_check(h->login_role, &(struct msg_logins_check){ 0 }, -1, on_checked, &checked);
	UNTIL(h, checked == 1);
	assert_int_equal(h->told_n, 2);
	ipc_call_login_over(h->login_role, &over, -1, on_ended, &ended); /* it is logged in by another password since */
	UNTIL(h, ended == 1);
	assert_int_equal(h->overs, 0);
	over.stamp = VISIT_STAMP;
	ended = 0;
	ipc_call_login_over(h->login_role, &over, -1, on_ended, &ended);
	UNTIL(h, h->overs == 1);
	assert_int_equal(h->over, 1);
	assert_int_equal(h->q->accounting.admission.logged_in, 1);
	run_quiet(h);
	assert_int_equal(ended, 0); /* submission has not ended it */
	disconnect(h, &h->submission);
	UNTIL(h, ended == 1);
	ipc_call_login_over(h->login_role, &over, -1, on_ended, &ended); /* nobody is there */
	UNTIL(h, ended == 2);
	assert_int_equal(h->overs, 1);
	/* nor does its ticket bring it back, before somebody has logged in by the same password again */
	connect_submission(h);
	present(h, 1, ALICE, "phone", ticket);
	assert_int_equal(admit(h, 2, "192.0.2.1").class, OK);
	assert_int_equal(h->q->accounting.admission.logged_in, 0);
	assert_int_equal(log_in(h, 2, ALICE, "phone", true).class, OK);
	leave(h, 1);
	present(h, 1, ALICE, "phone", ticket);
	assert_int_equal(admit(h, 3, "192.0.2.1").class, OK);
	assert_int_equal(h->q->accounting.admission.logged_in, 2);
}

static void wrong_password(struct harness *h, uint64_t session, const char *client, const char *login, unsigned code)
{
	assert_int_equal(admit(h, session, client).class, OK);
	assert_int_equal(log_in(h, session, login, "", false).code, code);
	leave(h, session);
}

/* Three wrong passwords from a network may be, the fourth bans it, known names or not; each ban is longer than the last. */
static void test_network_ban(void **state)
{
	struct harness *h = *state;

	wrong_password(h, 1, "192.0.2.1", "x1@example.org", 535);
	wrong_password(h, 2, "192.0.2.1", "x2@example.org", 535);
	wrong_password(h, 3, "192.0.2.1", "", 535);
	assert_int_equal(admit(h, 10, "192.0.2.1").class, OK);
	assert_int_equal(admit(h, 11, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 10, "x4@example.org", "", false).code, 421);
	ASSERT_ANSWER(log_in(h, 11, ALICE, "", true), 421, "4.7.0"); /* whatever the password */
	ASSERT_ANSWER(admit(h, 12, "192.0.2.1"), 421, "4.7.0");
	assert_true(holds(h->answer.text, "10 minutes"));
	assert_int_equal(admit(h, 13, "192.0.2.2").class, OK);
	leave(h, 10);
	leave(h, 11);
	fake_now += 599999;
	assert_int_equal(admit(h, 14, "192.0.2.1").code, 421);
	fake_now += 1;
	for (uint64_t s = 20; s < 23; s++)
		wrong_password(h, s, "192.0.2.1", "", 535);
	wrong_password(h, 23, "192.0.2.1", "", 421);
	fake_now += 1199999;
	assert_int_equal(admit(h, 24, "192.0.2.1").code, 421);
	fake_now += 1;
	assert_int_equal(admit(h, 25, "192.0.2.1").class, OK);
	UNTIL(h, stored_ban("net:192.0.2.1"));
	UNTIL(h, stored_ban("net:192.0.2.1")->level == 2);
	leave(h, 25);
	fake_now += 8ull * 86400000; /* a quiet week: forgotten */
	for (uint64_t s = 30; s < 33; s++)
		wrong_password(h, s, "192.0.2.1", "", 535);
	wrong_password(h, 33, "192.0.2.1", "", 421);
	UNTIL(h, stored_ban("net:192.0.2.1")->level == 1);
}

/* A name is banned too, whether it exists or not, but not where it got in lately: a stranger cannot lock a user out. */
static void test_login_ban(void **state)
{
	struct harness *h = *state;
	char client[32];

	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
	for (unsigned i = 0; i < 3; i++) {
		snprintf(client, sizeof client, "203.0.113.%u", i + 1);
		wrong_password(h, 10 + i, client, "Alice@Example.org", 535);
		wrong_password(h, 20 + i, client, "nobody@example.org", 535);
	}
	wrong_password(h, 30, "203.0.113.10", ALICE, 454);
	wrong_password(h, 31, "203.0.113.11", "nobody@example.org", 454);
	/* the same answer for right and wrong passwords; whoever goes on guessing all the same is banned as a network */
	for (uint64_t s = 40; s < 43; s++)
		wrong_password(h, s, "203.0.113.20", ALICE, 454);
	wrong_password(h, 43, "203.0.113.20", ALICE, 421);
	assert_int_equal(admit(h, 44, "203.0.113.20").code, 421);
	assert_int_equal(admit(h, 50, "203.0.113.22").class, OK);
	ASSERT_ANSWER(log_in(h, 50, ALICE, "", true), 454, "4.7.0");
	assert_true(holds(h->answer.text, "10 minutes"));
	/* at home */
	assert_int_equal(admit(h, 51, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 51, ALICE, "", true).class, OK);
	leave(h, 51);
	wrong_password(h, 52, "192.0.2.1", ALICE, 535);
	/* the other name is somebody else's affair */
	assert_int_equal(admit(h, 53, "203.0.113.22").class, OK);
	assert_int_equal(log_in(h, 53, "bob@example.org", "", true).class, OK);
	fake_now += 600000;
	assert_int_equal(admit(h, 54, "203.0.113.21").class, OK);
	assert_int_equal(log_in(h, 54, ALICE, "", true).class, OK);
}

static struct verdict attempt(struct harness *h, const char *client, const char *login, const char *device, bool success,
			      uint64_t repeated)
{
	static uint64_t session = 1000000;
	struct verdict v = admit(h, ++session, client);

	if (v.class == OK)
		v = log_in_by(h, session, login, device, success, repeated);
	leave(h, session);
	return v;
}

/* An old phone tries the same password for ever: that counts once, and nobody is banned for it. */
static void test_stale_phone(void **state)
{
	struct harness *h = *state;

	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", false, 0).code, 535);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", false, COUNTED_AS_JUDGED).code, 535);
	assert_int_equal(attempt(h, "192.0.2.1", "bob@example.org", "", true, 0).class, OK);
	assert_int_equal(attempt(h, "203.0.113.1", ALICE, "", true, 0).class, OK);
}

/* Where people get in, wrong passwords of strangers take turns and nobody is banned: by SCRAM the old phone's look new each time. */
static void test_office(void **state)
{
	struct harness *h = *state;

	assert_int_equal(attempt(h, "192.0.2.1", "bob@example.org", "", true, 0).class, OK);
	for (unsigned i = 0; i < 20; i++) {
		char name[40];

		snprintf(name, sizeof name, "name%u@example.org", i);
		assert_int_equal(attempt(h, "192.0.2.1", name, "", false, 0).code, 535);
		assert_int_equal(visit_delay_ms, i < 2 ? 0 : 5000);
		fake_now += 5000;
	}
	assert_int_equal(attempt(h, "192.0.2.1", "bob@example.org", "", true, 0).class, OK);
	assert_int_equal(visit_delay_ms, 0);
	assert_int_equal(attempt(h, "192.0.2.1", "carol@example.org", "", true, 0).class, OK);
	/* that survives a restart, and is over when nobody got in for 30 days */
	UNTIL(h, stored_bucket("login:bob@example.org", "network 192.0.2.1"));
	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	h = *state = harness_again(h, fake_now);
	configure(h);
	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(attempt(h, "192.0.2.1", "", "", false, 0).code, 535);
	fake_now += 31 * 86400000ull;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(attempt(h, "192.0.2.1", "", "", false, 0).code, 535);
	assert_int_equal(attempt(h, "192.0.2.1", "", "", false, 0).code, 421);
	assert_int_equal(admit(h, 1, "192.0.2.1").code, 421);
	assert_int_equal(visit_banned, 1);
}

/* In a network from which people get in, and where somebody guesses, those who are new there take turns, right and wrong alike, so that it does
 * not help to hang up before the answer; who is at home there does not wait for them. */
static void test_newcomers_of_a_slowed_network(void **state)
{
	struct harness *h = *state;
	char name[40];

	assert_int_equal(attempt(h, "192.0.2.1", "bob@example.org", "", true, 0).class, OK);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(attempt(h, "192.0.2.1", "nobody@example.org", "", false, 0).code, 535);
	for (unsigned i = 0; i < 12; i++) {
		struct verdict v;

		snprintf(name, sizeof name, "name%u@example.org", i);
		v = attempt(h, "192.0.2.1", name, "", i % 2, 0);
		assert_int_equal(v.code, i > 6 ? 454 : i % 2 ? 0 : 535);
		assert_int_equal(visit_delay_ms, i > 6 ? 0 : i == 0 ? 5000 : i * 5000);
		assert_int_equal(visit_counted, i > 6 ? 0 : COUNTED_AS_JUDGED);
	}
	assert_int_equal(attempt(h, "192.0.2.1", "bob@example.org", "", true, 0).class, OK);
	assert_int_equal(visit_delay_ms, 0);
	assert_int_equal(attempt(h, "192.0.2.2", ALICE, "", true, 0).class, OK);
	assert_int_equal(visit_delay_ms, 0);
	assert_non_null(limit_row(limits_show(h, "192.0.2.1"), "at: 192.0.2.1", "failures 3/10m"));
	limits_reset(h, "192.0.2.1");
	assert_int_equal(attempt(h, "192.0.2.1", "carol@example.org", "", true, 0).class, OK);
	assert_int_equal(visit_delay_ms, 0);
}

/* Somebody takes all turns of a network: who is new there gets in within an hour. */
static void test_newcomer_without_a_turn(void **state)
{
	struct harness *h = *state;
	unsigned next = 0, minute = 0;
	char name[40];
	struct verdict v;

	assert_int_equal(attempt(h, "192.0.2.1", "bob@example.org", "", true, 0).class, OK);
	do {
		v = ok();
		for (unsigned i = 0; i < 20 && v.code != 454; i++) {
			snprintf(name, sizeof name, "name%u@example.org", next++);
			v = attempt(h, "192.0.2.1", name, "", false, 0);
		}
		assert_int_equal(v.code, 454);
		v = attempt(h, "192.0.2.1", ALICE, "", true, 0);
		fake_now += 60000;
	} while (v.class != OK && ++minute < 100);
	assert_int_equal(minute, 60);
}

/* A login that is guessed from its own network is not banned there: its attempts take turns, right or wrong. */
static void test_turns(void **state)
{
	struct harness *h = *state;

	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", true, 0).class, OK);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", false, 0).code, 535);
	for (unsigned i = 0; i < 7; i++) {
		bool right = i % 2;

		assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", right, 0).code, right ? 0 : 535);
		assert_int_equal(visit_delay_ms, i == 0 ? 5000 : i * 5000); /* wrong ones are slowed at least */
	}
	for (unsigned i = 0; i < 2; i++)
		ASSERT_ANSWER(attempt(h, "192.0.2.1", ALICE, "", i == 0, 0), 454, "4.7.0");
	assert_int_equal(attempt(h, "192.0.2.1", "bob@example.org", "", true, 0).class, OK);
	assert_int_equal(visit_delay_ms, 0);
	fake_now += 35000;
	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", true, 0).class, OK);
	assert_int_equal(visit_delay_ms, 0);
	fake_now += 600000;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", true, 0).class, OK);
		assert_int_equal(visit_delay_ms, 0);
	}
}

/* Strangers guess a login for days: its owner, in a new network, waits for an hour at most, however often his mail program tries meanwhile. */
static void test_owner_in_a_new_network(void **state)
{
	struct harness *h = *state;
	uint64_t begun = fake_now, next = 0, waited = 0;
	bool in = false;
	char client[32];

	for (unsigned minute = 0; minute < 600 && !in; minute++) {
		for (unsigned i = 0; i < 5; i++) { /* the strangers, each from a network of his own */
			next++;
			snprintf(client, sizeof client, "10.%u.%u.%u", (unsigned)(next >> 16), (unsigned)(next >> 8 & 255),
				 (unsigned)(next & 255));
			attempt(h, client, ALICE, "", false, 0);
		}
		if (minute >= 180) { /* the ban has grown by then */
			struct verdict v = attempt(h, "198.51.100.7", ALICE, "", true, 0);

			in = v.class == OK;
			waited += !in;
			assert_true(in || v.code == 421 ||
				    (v.code == 454 && holds(v.text, "locked for") && holds(v.text, "wrong passwords")));
		}
		fake_now += 60000;
	}
	assert_true(in && waited > 0);
	assert_true(waited <= 61);
	assert_true(fake_now > begun);
	/* from then on it is his */
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(attempt(h, "198.51.100.7", ALICE, "", true, COUNTED_AS_JUDGED).class, OK);
}

/* What was refused unseen for want of a turn counts when it is tried again, so it is not told to be counted. */
static void test_unseen_in_turns(void **state)
{
	struct harness *h = *state;
	unsigned unseen = 0;

	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", true, 0).class, OK);
	assert_int_equal(visit_counted, COUNTED_AS_JUDGED);
	for (unsigned i = 0; i < 30; i++) {
		struct verdict v = attempt(h, "192.0.2.1", ALICE, "", i == 29, 0);

		assert_int_equal(visit_counted, v.code == 454 ? 0 : COUNTED_AS_JUDGED);
		unseen += v.code == 454;
	}
	assert_int_equal(unseen, 20);
}

/* What was tried while the login was banned is new when the ban is over, whoever tried it; during the ban it counts once against networks, and
 * what was right or wrong before counts as what is new does. */
static void test_unseen_in_a_ban(void **state)
{
	struct harness *h = *state;
	char client[32];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(client, sizeof client, "10.0.0.%u", i);
		attempt(h, client, ALICE, "", false, 0);
		assert_int_equal(visit_counted, COUNTED_AS_JUDGED);
	}
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(attempt(h, "10.0.1.1", ALICE, "", i % 2, COUNTED_IN_BAN).code, 454);
		assert_int_equal(visit_counted, COUNTED_IN_BAN);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(attempt(h, "10.0.1.2", ALICE, "", i % 2, COUNTED_AS_JUDGED).code, i < 3 ? 454 : 421);
	fake_now += 600000;
	for (unsigned i = 0; i < 4; i++) {
		snprintf(client, sizeof client, "10.0.2.%u", i);
		assert_int_equal(attempt(h, client, ALICE, "", false, COUNTED_IN_BAN).code, i < 3 ? 535 : 454);
	}
	assert_int_equal(attempt(h, "10.0.2.9", ALICE, "", true, COUNTED_IN_BAN).code, 454);
}

/* An old PC at home tries the main password for ever; the phone, with a password of its own, does not wait for it, and an administrator sees and
 * empties the turns of each. */
static void test_turns_of_devices(void **state)
{
	struct harness *h = *state;

	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "", true, 0).class, OK);
	for (unsigned i = 0; i < 20; i++)
		attempt(h, "192.0.2.1", ALICE, "", false, 0);
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(attempt(h, "192.0.2.1", ALICE, "phone", true, 0).class, OK);
		assert_int_equal(visit_delay_ms, 0);
	}
	for (unsigned i = 0; i < 20; i++)
		attempt(h, "192.0.2.1", ALICE, "Tablet", false, 0);
	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "tablet", true, 0).code, 454);
	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "phone", true, 0).class, OK);
	assert_non_null(limit_row(limits_show(h, ALICE), "at:alice@example.org/tablet 192.0.2.1", "failures 3/10m"));
	assert_non_null(limit_row(limits_show(h, ALICE), "at:alice@example.org 192.0.2.1", "failures 3/10m"));
	limits_reset(h, ALICE);
	assert_int_equal(attempt(h, "192.0.2.1", ALICE, "tablet", true, 0).class, OK);
	assert_int_equal(visit_delay_ms, 0);
}

/* An attacker with many addresses does not drive out the owner who waits for his hour: neither from one site, nor by another login. */
static void test_lockouts_are_shared_out(void **state)
{
	struct harness *h = *state;
	char network[64];

	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), S("2001:db8:ffff:1::/64"), fake_now), 3600000);
	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), S("198.51.100.7"), fake_now), 3600000);
	for (unsigned i = 0; i < 40000; i++) {
		snprintf(network, sizeof network, "2001:db8:1:%x::/64", i);
		lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), str_of(network), fake_now);
		snprintf(network, sizeof network, "10.1.%u.%u", i >> 8, i & 255);
		if (i < 256)
			lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), str_of(network), fake_now);
	}
	assert_int_equal(h->q->accounting.lockouts.table.n, 2 + 256 + 256);
	for (unsigned i = 0; i < 20500; i++) { /* sites enough to fill all */
		snprintf(network, sizeof network, "2001:db8:%x:1::/64", i + 16);
		lockout_ms(&h->q->accounting, &h->arena, S("bob@example.org"), S(""), str_of(network), fake_now + 1);
	}
	assert_int_equal(h->q->accounting.lockouts.table.n, 20000);
	fake_now += 3600000;
	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), S("2001:db8:ffff:1::/64"), fake_now), 0);
	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), S("198.51.100.7"), fake_now), 0);
}

/* The hour of a banned device password is no other's. */
static void test_lockouts_of_devices(void **state)
{
	struct harness *h = *state;

	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S("phone"), S("192.0.2.1"), fake_now), 3600000);
	fake_now += 1800000;
	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), S("192.0.2.1"), fake_now), 3600000);
	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S("phone"), S("192.0.2.1"), fake_now), 1800000);
	fake_now += 1800000;
	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S("phone"), S("192.0.2.1"), fake_now), 0);
	assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), S("192.0.2.1"), fake_now), 1800000);
}

/* A login's ban is an hour at most, however often it comes again. */
static void test_longest_login_ban(void **state)
{
	struct harness *h = *state;
	char client[32];

	for (unsigned level = 1; level <= 8; level++) {
		for (unsigned i = 0; i < 4; i++) {
			snprintf(client, sizeof client, "10.0.%u.%u", level, i);
			attempt(h, client, ALICE, "", false, 0);
		}
		assert_int_equal(login_banned_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), fake_now),
				 level < 4 ? 600000ull << (level - 1) : 3600000);
		fake_now += 3600000;
		assert_int_equal(login_banned_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), fake_now), 0);
	}
}

/* Each password of an account is guessed by itself: the phone's goes on when the main one is banned, and the other way round. */
static void test_devices_of_a_banned_login(void **state)
{
	struct harness *h = *state;
	char client[32];

	for (unsigned i = 0; i < 4; i++) {
		snprintf(client, sizeof client, "10.0.0.%u", i);
		attempt(h, client, ALICE, "", false, 0);
		attempt(h, client, "bob@example.org", "phone", false, 0);
	}
	assert_int_equal(attempt(h, "198.51.100.1", ALICE, "", true, 0).code, 454);
	assert_int_equal(attempt(h, "198.51.100.2", ALICE, "phone", true, 0).class, OK);
	assert_int_equal(attempt(h, "198.51.100.3", "bob@example.org", "phone", true, 0).code, 454);
	assert_int_equal(attempt(h, "198.51.100.4", "bob@example.org", "", true, 0).class, OK);
	assert_non_null(limit_row(limits_show(h, "bob@example.org"), "login:bob@example.org/phone", "ban"));
	assert_true(limits_reset(h, "bob@example.org") >= 1);
	assert_int_equal(attempt(h, "198.51.100.3", "bob@example.org", "phone", true, 0).class, OK);
}

/* Who is not logged in is counted per /24 and /48 too. */
static void test_sites(void **state)
{
	struct harness *h = *state;
	char client[64];

	h->config.limits.connections_per_site = 5;
	for (unsigned i = 0; i < 5; i++) {
		snprintf(client, sizeof client, "192.0.2.%u", i + 1);
		assert_int_equal(admit(h, 1 + i, client).class, OK);
		snprintf(client, sizeof client, "2001:db8:0:%x::1", i);
		assert_int_equal(admit(h, 11 + i, client).class, OK);
	}
	ASSERT_ANSWER(admit(h, 6, "192.0.2.99"), 421, "4.7.0");
	assert_true(holds(h->answer.text, "at most 5"));
	assert_int_equal(visit_banned, 0);
	assert_int_equal(admit(h, 16, "2001:db8:0:ffff::1").code, 421);
	assert_int_equal(admit(h, 7, "192.0.3.1").class, OK);
	assert_int_equal(admit(h, 17, "2001:db8:1::1").class, OK);
	assert_int_equal(log_in(h, 1, "bob@example.org", "", true).class, OK);
	assert_int_equal(admit(h, 6, "192.0.2.99").class, OK);
	h->config.limits.connections_per_site = 0;
}

/* Bans, what was counted before a ban, and known networks survive a restart; an administrator ends them for good. */
static void test_restart_and_reset(void **state)
{
	struct harness *h = *state;

	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
	for (uint64_t s = 10; s < 13; s++)
		wrong_password(h, s, "203.0.113.1", ALICE, 535);
	wrong_password(h, 13, "203.0.113.1", ALICE, 421);
	wrong_password(h, 14, "203.0.113.2", "x@example.org", 535);
	UNTIL(h, stored_ban("net:203.0.113.1") && stored_ban("login:alice@example.org"));
	UNTIL(h, stored_bucket("net:203.0.113.2", "failures 3/10m"));
	UNTIL(h, stored_bucket("login:alice@example.org", "network 192.0.2.1"));
	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	h = *state = harness_again(h, START_MS);
	configure(h);
	assert_int_equal(admit(h, 1, "203.0.113.1").code, 421);
	wrong_password(h, 2, "203.0.113.9", ALICE, 454);
	wrong_password(h, 3, "192.0.2.1", ALICE, 535);
	wrong_password(h, 4, "203.0.113.2", "y@example.org", 535);
	wrong_password(h, 5, "203.0.113.2", "y@example.org", 535);
	wrong_password(h, 6, "203.0.113.2", "y@example.org", 421);
	assert_int_equal(limit_row(limits_show(h, ""), "net:203.0.113.1", "ban")->used, 1);
	assert_int_equal(limits_show(h, "")->n, limits_show(h, "")->n);
	assert_non_null(limit_row(limits_show(h, ALICE), "login:alice@example.org", "ban"));
	assert_null(limit_row(limits_show(h, ALICE), "net:203.0.113.1", "ban"));
	assert_true(limits_reset(h, "203.0.113.1") >= 1);
	assert_null(stored_ban("net:203.0.113.1")); /* durable when it is answered */
	assert_int_equal(admit(h, 20, "203.0.113.1").class, OK);
	assert_int_equal(admit(h, 21, "203.0.113.2").code, 421);
	assert_int_equal(limits_reset(h, ALICE), 3); /* the ban, and what was counted, also at home */
	assert_int_equal(log_in(h, 20, ALICE, "", true).class, OK);
	assert_true(limits_reset(h, "") > 0);
	assert_int_equal(admit(h, 22, "203.0.113.2").class, OK);
	assert_int_equal(limits_reset(h, ""), 0);
}

/* However many strangers try whatever names: memory is bounded, and bans of the last ones hold. */
static void test_bounds(void **state)
{
	struct harness *h = *state;
	char client[64], name[600];
	struct arena a = { 0 };

	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	for (unsigned i = 0; i < 25000; i++) {
		snprintf(client, sizeof client, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		network_failed(&h->q->accounting, &h->arena, str_of(client), str_of(client), UINT64_MAX, fake_now);
	}
	assert_true(h->q->accounting.failed_logins.n <= 20000);
	assert_true(h->q->accounting.buckets.table.n <= 20010);
	assert_true(login_key(&a, str_of(name)).n < 300);
	assert_true(str_eq(login_key(&a, S("Alice@Example.org/phone")), S("login:alice@example.org")));
	for (unsigned i = 0; i < 25000; i++) {
		snprintf(client, sizeof client, "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
		assert_int_equal(lockout_ms(&h->q->accounting, &h->arena, S(ALICE), S(""), str_of(client), fake_now), 3600000);
		home_network_add(&h->q->accounting, str_of(client), fake_now + 1000);
		home_network_add(&h->q->accounting, str_of(client), fake_now + 2000);
	}
	assert_int_equal(h->q->accounting.lockouts.table.n, 20000);
	assert_int_equal(h->q->accounting.home_networks.table.n, 25000);
	home_networks_collect(&h->q->accounting, fake_now + 2000);
	assert_int_equal(h->q->accounting.home_networks.table.n, 0);
	arena_fini(&a);
	run_some(h); /* writes were gathered */
	assert_true(store_runs(REQUEST_BUCKET_PUT) < 1000);
}

/* The role has started when what is needed to judge a login has been read. */
static void test_start_waits_for_limits(void **state)
{
	struct harness *h = *state;

	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	store_hold(REQUEST_BUCKETS);
	harness_begin(h);
	UNTIL(h, h->q->open && store_runs(REQUEST_BUCKETS) == 2); /* the first was of the start before */
	run_quiet(h);
	assert_null(harness_start());
	store_go_on();
	UNTIL(h, harness_start());
	assert_int_equal(harness_start()->class, OK);
	assert_true(accounting_is_ready(&h->q->accounting));
}

/* A store that could not be opened at the start is opened later: then the role has started, and limits and bans are still to be read. */
static void test_before_limits(void **state)
{
	struct harness *h = *state;
	const struct transaction *t;

	harness_stop(h, 1000);
	UNTIL(h, harness_stopped(h));
	store_hold(REQUEST_BUCKETS);
	store_without_room = true;
	h = *state = harness_again(h, START_MS);
	store_without_room = false;
	UNTIL(h, h->q->open);
	h->config.auth.failures = (struct rate){ 3, 600000 };
	queue_ops.apply(harness_role());
	connect_submission(h);
	assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
	ASSERT_ANSWER(log_in(h, 1, ALICE, "", true), 454, "4.7.0");
	submit(h, 100, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	run_quiet(h);
	assert_int_equal(h->answers_n, 0);
	t = CONTAINER_OF(list_first(&h->q->intake.submitted), struct transaction, in_submitted);
	assert_int_equal(t->progress, WAITS_FOR_START); /* nor does the store have it */
	UNTIL(h, store_runs(REQUEST_BUCKETS) == 1);
	store_go_on();
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
}

/* A listed host is let in whatever another program on it did, and its login's ban does not hold for it. */
static void test_listed_host(void **state)
{
	struct harness *h = *state;
	struct str network = S("192.0.2.7");
	struct cfg_device device = { .networks = { &network, 1 }, .user = S(ALICE) };

	h->config.devices = &device;
	h->config.devices_n = 1;
	for (uint64_t s = 10; s < 13; s++)
		wrong_password(h, s, "192.0.2.7", ALICE, 535);
	wrong_password(h, 13, "192.0.2.7", ALICE, 421);
	assert_int_equal(admit(h, 1, "192.0.2.7").class, OK);
	assert_int_equal(log_in(h, 1, ALICE, "@192.0.2.7", true).class, OK);
	h->config.devices_n = 0;
}

/* Limits or bans that cannot be read are no open door: mail and logins are refused for the moment, and it is tried again. */
static void test_unreadable_start(void **state)
{
	static const enum request_kind failing[] = { REQUEST_BUCKETS, REQUEST_BANS };

	for (size_t i = 0; i < 2; i++) {
		struct harness *h = *state;

		store_refuse(failing[i], 1);
		h = *state = harness_again(h, START_MS);
		h->config.auth.failures = (struct rate){ 3, 600000 };
		queue_ops.apply(harness_role());
		connect_submission(h);
		connect_console(h);
		submit(h, 100, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n"); /* before the reading fails */
		UNTIL(h, h->answers_n == 1);
		ASSERT_ANSWER(h->answer, 451, "4.3.0");
		submit(h, 101, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n"); /* and after that */
		UNTIL(h, h->answers_n == 2);
		ASSERT_ANSWER(h->answer, 451, "4.3.0");
		assert_int_equal(admit(h, 1, "192.0.2.1").class, OK);
		ASSERT_ANSWER(log_in(h, 1, ALICE, "", true), 454, "4.7.0");
		assert_int_equal(store_runs(REQUEST_ACCEPT), 0);
		UNTIL(h, accounting_is_ready(&h->q->accounting));
		assert_int_equal(log_in(h, 1, ALICE, "", true).class, OK);
		assert_int_equal(submit_one(h, 102, "b@x.example").class, OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_network_connections, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_networks, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_login_connections, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_present, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_false_tickets, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_session, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_revocation, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_network_ban, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_login_ban, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_restart_and_reset, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_stale_phone, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_office, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_turns, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_unseen_in_turns, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_newcomers_of_a_slowed_network, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_newcomer_without_a_turn, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_unseen_in_a_ban, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_turns_of_devices, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_lockouts_of_devices, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_lockouts_are_shared_out, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_owner_in_a_new_network, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_longest_login_ban, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_devices_of_a_banned_login, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_sites, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_start_waits_for_limits, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_before_limits, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_listed_host, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_unreadable_start, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
