/* test_signing.c - whom submission can send for, and what it can have signed: by queue's own record of the session, and what the
 * configuration allows its login. What a hostile submission reports beyond that is refused, or closes its channel. */
#include "stored.h"
#include "visits.h"

#define DIGEST S("a digest of thirty-two bytes ...")

static struct str own[] = { { ALICE, sizeof ALICE - 1 } };
static struct cfg_senders senders[2];
static struct cfg_sign keys[3];
static struct rate ten_an_hour[] = { { 1, 3600000 } };

static int setup(void **state)
{
	struct harness *h = harness_new();

	senders[0] = (struct cfg_senders){ .user = S(ALICE), .addresses = { own, 1 } };
	keys[0] = (struct cfg_sign){ .domain = S("example.org"), .selector = S("r"), .algorithm = DKIM_RSA_SHA256 };
	keys[1] = (struct cfg_sign){ .domain = S("example.org"), .selector = S("e"), .algorithm = DKIM_ED25519_SHA256 };
	keys[2] = (struct cfg_sign){ .domain = S("victim.example"), .selector = S("r"), .algorithm = DKIM_RSA_SHA256 };
	h->config.senders = senders;
	h->config.senders_n = 1;
	h->config.sign = keys;
	h->config.sign_n = 3;
	visits_begin(h);
	connect_vault(h);
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	struct harness *h = *state;

	h->config.sign_n = 0;
	return harness_teardown(state);
}

/* ---- a submit as a hostile submission writes it ---- */

struct report {
	const char *sender, *recipient;
	const char *from[2], *resenders[2];    /* NULL: none */
	const char *domain, *selector;         /* of the one field to sign; NULL: none */
	struct str field, digest, received;    /* in the place of a good one; "": the good one */
	size_t from_n, resenders_n, to_sign_n; /* 0: as many as there are; else so many times the first */
	uint64_t priority;
};

static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd)
{
	struct harness *h = ctx;

	h->answer = verdict_keep(&h->arena, m ? m->verdict : v);
	h->answers_n++;
}

static size_t fill(struct rec_author *to, const char *const from[2], size_t n)
{
	size_t have = from[0] == NULL ? 0 : from[1] == NULL ? 1 : 2;

	for (size_t i = 0; i < (n > 0 ? n : have); i++)
		to[i].address = str_of(from[i < have ? i : 0]);
	return n > 0 ? n : have;
}

static struct verdict report(struct harness *h, uint64_t id, const struct report *r)
{
	struct rec_author from[200], resenders[200];
	struct rec_to_sign to_sign[10];
	struct msg_envelope e = { .session = session_of(h),
				  .transaction = id,
				  .id = id,
				  .token = 1,
				  .envelope = { .sender = str_of(r->sender),
						.priority = r->priority ? r->priority : PRIORITY_NORMAL } };
	struct rec_recipient rec = { .address = str_of(r->recipient ? r->recipient : "b@x.example") };
	struct msg_recipients list = { .transaction = id, .recipients = { &rec, 1 } };
	struct msg_submit m = { .transaction = id,
				.place = PLACE_ROW,
				.size = 4,
				.header_size = 4,
				.text = S("A:b\n"),
				.received = r->received.n ? r->received : S("Received: here\r\n"),
				.from = { from, fill(from, r->from, r->from_n) },
				.resenders = { resenders, fill(resenders, r->resenders, r->resenders_n) },
				.to_sign = { to_sign, r->to_sign_n ? r->to_sign_n : r->domain != NULL } };
	size_t before = h->answers_n;

	for (size_t i = 0; i < m.to_sign.n; i++)
		to_sign[i] = (struct rec_to_sign){ .selector = str_of(r->selector),
						   .algorithm = DKIM_RSA_SHA256,
						   .digest = r->digest.n ? r->digest : DIGEST,
						   .field = r->field.n ? r->field : unsigned_field(h, r->domain, r->selector) };
	ipc_send_envelope(h->submission, &e, -1);
	ipc_send_recipients(h->submission, &list, -1);
	ipc_call_submit(h->submission, &m, -1, on_submitted, h);
	UNTIL(h, h->answers_n > before);
	return h->answer;
}

/* ---- tests ---- */

static void test_signed(void **state)
{
	struct harness *h = *state;
	const struct report good = { .sender = ALICE, .from = { ALICE }, .domain = "example.org", .selector = "r" };
	const struct accepted *m;

	assert_int_equal(report(h, 100, &good).class, OK);
	m = stored(100);
	assert_true(str_eq(m->envelope.sign_domain, S("example.org")));
	assert_true(str_eq(m->prefix, arena_printf(&h->arena, "Received: here\r\n%.*sc2lnbmF0dXJl\r\n",
						   STR_ARG(unsigned_field(h, "example.org", "r")))));
	assert_true(stored_event(100, "mail.accepted", "sign_domain=example.org"));
	assert_int_equal(h->signs, 1);
}

/* A receipt has no envelope sender; its author is checked all the same. */
static void test_null_sender(void **state)
{
	struct harness *h = *state;
	const struct report good = { .sender = "", .from = { ALICE }, .domain = "example.org", .selector = "r" };
	const struct report foreign = { .sender = "", .from = { "ceo@victim.example" } };

	assert_int_equal(report(h, 100, &good).class, OK);
	assert_int_equal(report(h, 101, &foreign).code, 451);
	assert_null(stored(101));
}

static void test_refused(void **state)
{
	struct harness *h = *state;
	const struct str folded = S("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n\td=example.org; s=r; t=1;\r\n"
				    "From: ceo@victim.example\r\nX: b=");
	const struct report reports[] = {
		{ .sender = "ceo@example.org", .from = { ALICE } },
		{ .sender = ALICE, .from = { "ceo@example.org" }, .domain = "example.org", .selector = "r" },
		{ .sender = ALICE, .from = { ALICE, "ceo@victim.example" }, .domain = "victim.example", .selector = "r" },
		{ .sender = ALICE, .from = { ALICE }, .domain = "victim.example", .selector = "r" },
		{ .sender = ALICE, .from = { "x@y.example" }, .resenders = { ALICE } }, /* without the right to */
		{ .sender = ALICE, .from = { ALICE }, .domain = "example.org", .selector = "r", .digest = S("short") },
		{ .sender = ALICE, .from = { ALICE }, .domain = "example.org", .selector = "r", .field = S("b=") },
		{ .sender = ALICE, .from = { ALICE }, .domain = "example.org", .selector = "r", .field = folded },
		{ .sender = ALICE,
		  .from = { ALICE },
		  .domain = "example.org",
		  .selector = "r",
		  .field = unsigned_field(h, "victim.example", "r") },
		{ .sender = ALICE,
		  .from = { ALICE },
		  .domain = "example.org",
		  .selector = "r",
		  .field = unsigned_field(h, "example.org", "other") },
		{ .sender = ALICE, .from = { ALICE }, .domain = "sub.example.org", .selector = "r" },
	};

	for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
		struct verdict v = report(h, 100 + i, &reports[i]);

		assert_int_equal(v.code, 451);
		assert_true(str_eq(v.enhanced, i < 3 || i == 4 ? S("4.7.1") : S("4.7.5")));
	}
	assert_int_equal(h->signs, 0);
	assert_int_equal(stored_messages(), 0);
	assert_non_null(h->submission);
}

/* The record of the session decides, whatever the envelope's own words are: another login, root, a listed host. */
static void test_who_sends(void **state)
{
	struct harness *h = *state;
	const struct report as_victim = {
		.sender = "ceo@victim.example", .from = { "ceo@victim.example" }, .domain = "victim.example", .selector = "r"
	};
	const struct report as_host = { .sender = "scanner@example.org", .from = { "scanner@example.org" } };
	const struct report elsewhere = { .sender = "scanner@example.org",
					  .from = { "scanner@example.org" },
					  .recipient = "b@y.example" };
	const struct report as_alice = { .sender = ALICE, .from = { ALICE } };
	struct str network = S("192.0.2.7"), allowed = S("@x.example");
	struct cfg_device device = {
		.networks = { &network, 1 }, .user = S(ALICE), .sender = S("scanner@example.org"), .recipients = { &allowed, 1 }
	};

	h->config.devices = &device;
	h->config.devices_n = 1;
	h->device = S("@192.0.2.7");
	assert_int_equal(report(h, 100, &as_host).class, OK);
	assert_int_equal(report(h, 101, &elsewhere).code, 451);
	assert_int_equal(report(h, 102, &as_alice).code, 451);
	h->config.devices_n = 0; /* it is not listed any more */
	assert_int_equal(report(h, 103, &as_host).code, 451);
	h->device = S("@local");
	assert_int_equal(report(h, 104, &as_alice).class, OK);
	assert_int_equal(report(h, 105, &as_victim).code, 451);
	h->rights = RIGHT_ANY_SENDER;
	assert_int_equal(report(h, 106, &as_victim).class, OK);
	h->rights = 0;
	h->device = S("");
	h->login = S("ceo@victim.example");
	assert_int_equal(report(h, 107, &as_victim).class, OK);
	assert_int_equal(report(h, 108, &as_alice).code, 451);
	assert_int_equal(stored_messages(), 4);
}

/* A report of pickup is from nobody, and written and signed by its own author only, whatever submission says. */
static void test_report_of_pickup(void **state)
{
	struct harness *h = *state;
	const struct report good = { .sender = "", .from = { "bounces@example.org" }, .domain = "example.org", .selector = "r" };
	const struct report usual = { .sender = "", .from = { "mailer-daemon@example.org" } };
	const struct report refused[] = {
		{ .sender = "", .from = { "ceo@victim.example" } },
		{ .sender = "", .from = { "bounces@example.org" }, .domain = "victim.example", .selector = "r" },
		{ .sender = "",
		  .from = { "bounces@example.org", "ceo@victim.example" },
		  .domain = "victim.example",
		  .selector = "r" },
		{ .sender = "", .from = { ALICE } }, /* the login's own address */
		{ .sender = ALICE, .from = { ALICE } },
		{ .sender = "bounces@example.org", .from = { "bounces@example.org" } },
		{ .sender = "", .from = { "ceo@victim.example" }, .resenders = { "bounces@example.org" } },
		{ .sender = "", .from = { "bounces@example.org" }, .resenders = { "bounces@example.org" } },
	};

	senders[0].resent = true;
	h->config.report_sender = S("bounces@example.org");
	h->device = S("@local");
	h->rights = RIGHT_LOCAL | RIGHT_REPORT;
	assert_int_equal(report(h, 100, &good).class, OK);
	assert_true(str_eq(stored(100)->envelope.sign_domain, S("example.org")));
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_int_equal(report(h, 101 + i, &refused[i]).code, 451);
	assert_int_equal(h->signs, 1);
	assert_int_equal(stored_messages(), 1);
	h->config.report_sender = S("");
	h->config.postmaster = S("postmaster@example.org");
	assert_int_equal(report(h, 200, &usual).class, OK);
	assert_int_equal(report(h, 201, &good).code, 451);
}

/* RFC 5322 3.6.6: who sends on signs for its own domain, if that says nothing about the author. */
static void test_resent(void **state)
{
	struct harness *h = *state;
	const struct report good = {
		.sender = ALICE, .from = { "x@y.example" }, .resenders = { ALICE }, .domain = "example.org", .selector = "r"
	};
	const struct report aligned = { .sender = ALICE,
					.from = { "ceo@sub.example.org" },
					.resenders = { ALICE },
					.domain = "example.org",
					.selector = "r" };
	const struct report foreign = { .sender = ALICE,
					.from = { "x@y.example" },
					.resenders = { ALICE, "ceo@victim.example" } };

	senders[0].resent = true;
	assert_int_equal(report(h, 100, &good).class, OK);
	assert_true(str_eq(stored(100)->envelope.sign_domain, S("example.org")));
	assert_int_equal(report(h, 101, &aligned).code, 451);
	assert_int_equal(report(h, 102, &foreign).code, 451);
	assert_int_equal(h->signs, 1);
}

/* What submission itself bounds closes the channel. */
static void test_bounds(void **state)
{
	struct harness *h = *state;
	const struct report reports[] = {
		{ .sender = ALICE },
		{ .sender = ALICE, .from = { ALICE }, .from_n = AUTHORS_MAX + 1 },
		{ .sender = ALICE, .from = { ALICE }, .resenders = { ALICE }, .resenders_n = AUTHORS_MAX + 1 },
		{ .sender = ALICE, .from = { ALICE }, .domain = "example.org", .selector = "r", .to_sign_n = DKIM_KEYS_MAX + 1 },
		{ .sender = ALICE, .from = { ALICE }, .received = S("Received: here\r\nBcc: x\r\n") },
		{ .sender = ALICE, .from = { ALICE }, .received = S("Received: here") },
		{ .sender = ALICE, .from = { ALICE }, .received = S("X: here\r\n") },
	};

	for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
		h->closed_submission = false;
		assert_int_equal(report(h, 100, &reports[i]).class, TEMP);
		UNTIL(h, h->closed_submission);
		connect_submission(h);
	}
	assert_int_equal(stored_messages(), 0);
}

/* A priority above what the login can ask for counts as that. */
static void test_priority(void **state)
{
	struct harness *h = *state;
	const struct report urgent = { .sender = ALICE, .from = { ALICE }, .priority = PRIORITY_MAX };

	assert_int_equal(report(h, 100, &urgent).class, OK);
	assert_int_equal(stored(100)->envelope.priority, PRIORITY_NORMAL);
}

/* Vault refuses, forgets a signature, is away: the message does not go unsigned, and nothing is charged. */
static void test_vault_fails(void **state)
{
	struct harness *h = *state;
	const struct report good = { .sender = ALICE, .from = { ALICE }, .domain = "example.org", .selector = "r" };

	h->config.limits.messages = (struct rate_list){ ten_an_hour, 1 };
	queue_ops.apply(harness_role());
	for (uint64_t i = 0; i < 3; i++) {
		h->vault_fails = i == 0;
		h->vault_forgets = i == 1;
		if (i == 2)
			disconnect(h, &h->vault);
		assert_int_equal(report(h, 100, &good).code, 451);
		assert_true(str_eq(h->answer.enhanced, S("4.7.5")));
	}
	h->vault_forgets = false;
	assert_int_equal(h->signs, 2);
	connect_vault(h);
	assert_int_equal(report(h, 100, &good).class, OK);
	assert_int_equal(report(h, 101, &good).code, 450); /* the one message of the hour */
	assert_int_equal(h->signs, 3);                     /* limits are asked before */
}

/* Many can wait for vault at once. A client that has gone changes nothing, and who stops does not wait for ever. */
static void test_waiting(void **state)
{
	struct harness *h = *state;

	sign_for(h, "example.org");
	h->author = S(ALICE);
	h->vault_is_silent = true;
	for (uint64_t id = 100; id < 110; id++)
		submit(h, id, 1, ALICE, "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->signs == 10);
	disconnect(h, &h->submission);
	assert_int_equal(h->q->intake.accepting, 10);
	harness_stop(h, 100);
	UNTIL(h, harness_stopped(h));
	assert_int_equal(stored_messages(), 0);
}

static void test_client_gone(void **state)
{
	struct harness *h = *state;

	sign_for(h, "example.org");
	h->author = S(ALICE);
	submit(h, 100, 1, ALICE, "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->q->intake.accepting == 1 || store_runs(REQUEST_ACCEPT) == 1);
	disconnect(h, &h->submission);
	UNTIL(h, stored(100));
	assert_true(str_eq(stored(100)->envelope.sign_domain, S("example.org")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_signed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_null_sender, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_sends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_report_of_pickup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_priority, setup, teardown),
		cmocka_unit_test_setup_teardown(test_vault_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_client_gone, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
