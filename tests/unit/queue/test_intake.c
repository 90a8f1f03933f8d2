/* test_intake.c - what submission may ask for, and what it may not. */
#include "stored.h"

#include "intake/intake_private.h"

#include <unistd.h>

static struct rec_author alice = { { "alice@example.org", 17 } };
#define AUTHOR .received = S("Received: here\r\n"), .from = { &alice, 1 }

static int setup(void **state)
{
	struct harness *h = harness_new();

	connect_submission(h);
	*state = h;
	return 0;
}

static void test_accept(void **state)
{
	struct harness *h = *state;
	const struct accepted *m;

	submit_and_wait(h, 100, "a@example.org", "b@x.example c@y.example");
	m = stored(100);
	assert_non_null(m);
	assert_int_equal(m->recipients_n, 2);
	assert_true(str_eq(m->envelope.sender, S("a@example.org")));
	assert_true(str_eq(m->prefix, S("Received: from here\r\n")));
	assert_true(str_ends(m->text, S("\r\n\r\nbody\r\n")));
	assert_int_equal(m->received_at, START_MS);
	assert_int_equal(m->expires_at, START_MS + 5ull * 86400000);
	assert_true(stored_event(100, "mail.accepted", "login=alice origin=test sender=a@example.org recipients=2"));
}

/* The same message again, as submission does for a queue that was restarted; and another one under its id. */
static void test_again(void **state)
{
	struct harness *h = *state;

	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	submit(h, 100, 2, "a@example.org", "b@x.example", "Subject: other\r\n\r\n");
	UNTIL(h, h->answers_n == 3);
	assert_int_equal(h->answer.class, PERM);
}

static void test_refusals(void **state)
{
	struct harness *h = *state;

	h->config.queue.max_messages = 0;
	queue_ops.apply(harness_role());
	submit(h, 100, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(h->answer.code, 452);
	assert_true(str_eq(h->answer.enhanced, S("4.3.1")));

	fake_now = 1000; /* 1970 */
	submit(h, 101, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 2);
	assert_int_equal(h->answer.code, 451);
	assert_true(str_search(h->answer.text, S("clock")) < h->answer.text.n);
	fake_now = START_MS;

	h->q->intake.stopping = true;
	submit(h, 102, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->answers_n == 3);
	assert_int_equal(h->answer.code, 451);
	h->q->intake.stopping = false;
	assert_int_equal(stored_messages(), 0);
}

static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd)
{
	struct harness *h = ctx;

	h->answer = verdict_keep(&h->arena, m ? m->verdict : v);
	h->answers_n++;
}

/* A submit whose envelope the queue never saw (it was restarted in between) is a temporary failure. */
static void test_unknown_transaction(void **state)
{
	struct harness *h = *state;
	struct msg_submit m = { AUTHOR, .transaction = 5, .place = PLACE_ROW, .text = S("x"), .size = 1, .header_size = 1 };

	ipc_call_submit(h->submission, &m, -1, on_submitted, h);
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(h->answer.class, TEMP);
	assert_non_null(h->submission);
}

static void envelope(struct harness *h, uint64_t transaction, uint64_t id)
{
	struct msg_envelope e = { .session = session_of(h), .transaction = transaction, .id = id, .token = 1 };

	ipc_send_envelope(h->submission, &e, -1);
}

static void recipients(struct harness *h, uint64_t transaction, size_t n)
{
	struct rec_recipient list[300];
	struct msg_recipients m = { .transaction = transaction, .recipients = { list, n } };

	for (size_t i = 0; i < n; i++)
		list[i] = (struct rec_recipient){ .n = i, .address = S("b@x.example") };
	ipc_send_recipients(h->submission, &m, -1);
}

/* Whose message it is, the session says, at the moment of the submit: nobody's message is refused, and stays the only one. */
static void test_without_login(void **state)
{
	struct harness *h = *state;
	struct msg_submit m = { AUTHOR, .transaction = 1, .place = PLACE_ROW, .text = S("x"), .size = 1, .header_size = 1 };
	uint64_t session = session_of(h);

	for (unsigned i = 0; i < 2; i++) {
		struct msg_envelope e = { .session = i == 0 ? 77 : session, .transaction = 1, .id = 100, .token = 1 };

		ipc_send_envelope(h->submission, &e, -1);
		recipients(h, 1, 1);
		if (i == 1)
			ipc_send_leave(h->submission, &(struct msg_leave){ .session = session }, -1);
		ipc_call_submit(h->submission, &m, -1, on_submitted, h);
		UNTIL(h, h->answers_n == i + 1);
		assert_int_equal(h->answer.code, 451);
	}
	assert_int_equal(stored_messages(), 0);
	h->presented_n = 0;
	h->login = S("bob@example.org");
	h->device = S("phone");
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
	assert_true(str_eq(stored(100)->envelope.login, S("bob@example.org")));
	assert_true(stored_event(100, "mail.accepted", "login=bob@example.org device=phone"));
}

static void odd_envelope(struct harness *h, uint64_t priority, uint64_t mode)
{
	struct msg_envelope e = {
		.transaction = 2, .id = 101, .token = 1, .envelope.priority = priority, .envelope.deliver_by_mode = mode
	};

	ipc_send_envelope(h->submission, &e, -1);
}

/* What a sound peer never sends closes its channel, and only that. */
static void test_breaches(void **state)
{
	struct harness *h = *state;
	struct msg_submit wrong_size = { AUTHOR, .transaction = 1, .place = PLACE_ROW, .text = S("x"), .size = 2 };
	struct msg_submit wrong_place = { AUTHOR, .transaction = 1, .place = 9, .text = S("x"), .size = 1 };

	for (int i = 0; i < 8; i++) {
		h->closed_submission = false;
		envelope(h, 1, 100);
		switch (i) {
		case 0: envelope(h, 1, 100); break;
		case 1: envelope(h, 2, 0); break;
		case 2:
			for (int k = 0; k < 35; k++) /* 10,000 are the most that any configuration allows */
				recipients(h, 1, 300);
			break;
		case 6: odd_envelope(h, PRIORITY_MAX + 1, 0); break;
		case 7: odd_envelope(h, PRIORITY_NORMAL, 3); break;
		case 3: ipc_call_submit(h->submission, &wrong_size, -1, on_submitted, h); break; /* no recipients either */
		case 4:
			recipients(h, 1, 1);
			ipc_call_submit(h->submission, &wrong_size, -1, on_submitted, h);
			break;
		case 5:
			recipients(h, 1, 1);
			ipc_call_submit(h->submission, &wrong_place, -1, on_submitted, h);
			break;
		}
		UNTIL(h, h->closed_submission);
		connect_submission(h);
	}
	assert_int_equal(h->answer.class, TEMP);
	assert_int_equal(store_runs(REQUEST_ACCEPT), 0);
	submit_and_wait(h, 100, "a@example.org", "b@x.example");
}

static void on_spool_opened(void *ctx, struct verdict v, const struct msg_spool_opened *m, int fd)
{
	struct harness *h = ctx;

	h->answer = verdict_keep(&h->arena, m ? m->verdict : v);
	h->answers_n++;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = fd;
}

static void open_spool(struct harness *h, uint64_t transaction, uint64_t id)
{
	struct msg_spool_open m = { .transaction = transaction, .id = id, .size_hint = 100000 };

	ipc_call_spool_open(h->submission, &m, -1, on_spool_opened, h);
}

static void test_large(void **state)
{
	struct harness *h = *state;
	struct msg_submit m = { AUTHOR, .transaction = 1, .place = PLACE_FILE, .size = 100000, .header_size = 100 };

	open_spool(h, 1, 100);
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(h->answer.class, OK);
	assert_true(h->fd >= 0);
	assert_int_equal(ftruncate(h->fd, 100000), 0);
	assert_int_equal(close(h->fd), 0);
	h->fd = -1;
	envelope(h, 1, 100);
	recipients(h, 1, 1);
	ipc_call_submit(h->submission, &m, -1, on_submitted, h);
	UNTIL(h, h->answers_n == 2);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(stored(100)->place, PLACE_FILE);
	run_quiet(h);
	assert_int_equal(store_files(), 1);
}

/* One that submission can still write is copied: see the store's tests. */
static void test_open_file(void **state)
{
	struct harness *h = *state;
	struct msg_submit m = { AUTHOR, .transaction = 1, .place = PLACE_FILE, .size = 100000, .header_size = 100 };

	open_spool(h, 1, 100);
	UNTIL(h, h->answers_n == 1);
	assert_int_equal(ftruncate(h->fd, 100000), 0);
	envelope(h, 1, 100);
	recipients(h, 1, 1);
	ipc_call_submit(h->submission, &m, -1, on_submitted, h);
	UNTIL(h, h->answers_n == 2);
	assert_int_equal(h->answer.class, OK);
	assert_int_equal(stored_messages(), 1);
	assert_int_equal(store_files(), 1);
	assert_false(h->closed_submission);
}

/* What a channel holds is counted with its lists of recipients, and not counted any more when it is gone. */
static void test_counted_recipients(void **state)
{
	struct harness *h = *state;
	struct intake_peer *p;

	envelope(h, 1, 100);
	recipients(h, 1, 300);
	run_quiet(h);
	p = CONTAINER_OF(list_first(&h->q->intake.peers), struct intake_peer, in_peers);
	assert_int_equal(p->n, 1);
	assert_true(p->bytes >= 300 * (sizeof(struct new_recipient) + sizeof("b@x.example") - 1));
	ipc_send_abandon_transaction(h->submission, &(struct msg_abandon_transaction){ .transaction = 1 }, -1);
	run_quiet(h);
	assert_int_equal(p->n, 0);
	assert_int_equal(p->bytes, 0);
}

/* A file whose message does not come, for whatever reason, is dropped; one of an accepted message never. */
static void test_dropped_files(void **state)
{
	struct harness *h = *state;
	struct msg_submit m = { AUTHOR, .transaction = 2, .place = PLACE_FILE, .size = 100000, .header_size = 100 };

	open_spool(h, 1, 100);
	ipc_send_abandon_transaction(h->submission, &(struct msg_abandon_transaction){ .transaction = 1 }, -1);
	open_spool(h, 2, 101);
	UNTIL(h, h->answers_n == 1);
	UNTIL(h, store_files() == 1); /* the first one was abandoned while it was made */
	store_refuse(REQUEST_ACCEPT, 1);
	envelope(h, 2, 101);
	recipients(h, 2, 1);
	ipc_call_submit(h->submission, &m, -1, on_submitted, h);
	UNTIL(h, h->answers_n == 2);
	assert_int_equal(h->answer.class, TEMP);
	UNTIL(h, store_files() == 0);

	open_spool(h, 3, 102);
	UNTIL(h, h->answers_n == 3);
	assert_int_equal(store_files(), 1);
	disconnect(h, &h->submission);
	UNTIL(h, store_files() == 0);
}

/* A client that leaves after its final dot cancels nothing: the message is stored all the same. */
static void test_channel_ends_while_accepting(void **state)
{
	struct harness *h = *state;

	submit(h, 100, 1, "a@example.org", "b@x.example", "Subject: x\r\n\r\n");
	UNTIL(h, h->q->intake.accepting == 1 || store_runs(REQUEST_ACCEPT) == 1);
	disconnect(h, &h->submission);
	UNTIL(h, store_runs(REQUEST_ACCEPT) == 1);
	UNTIL(h, stored(100));
}

/* The lifetime counts from when the message may go; DELIVERBY ends it earlier, or says when to warn. */
static void test_times(void **state)
{
	struct harness *h = *state;
	const uint64_t hour = 3600000, day = 24 * hour, now = START_MS;
	static const uint64_t never = 0;
	const struct {
		uint64_t release_at, deliver_by;
		unsigned mode, notify;
		uint64_t stored_release, expires_at, warn_at;
	} rows[] = {
		{ 0, 0, BY_NONE, 0, 0, now + 5 * day, now + 4 * hour },
		{ now + day, 0, BY_NONE, 0, now + day, now + 6 * day, now + day + 4 * hour },
		{ now - 1, 0, BY_NONE, 0, 0, now + 5 * day, now + 4 * hour }, /* was long in coming */
		{ 0, now + hour, BY_RETURN, 0, 0, now + hour, now + 4 * hour },
		{ 0, now + 9 * day, BY_RETURN | BY_TRACE, 0, 0, now + 5 * day, now + 4 * hour },
		{ 0, now + hour, BY_NOTIFY, 0, 0, now + 5 * day, now + hour },
		{ 0, now + day, BY_NOTIFY | BY_TRACE, 0, 0, now + 5 * day, now + day },
		{ now + day, now + 2 * day, BY_NOTIFY, 0, now + day, now + 6 * day, now + 2 * day },
		{ 0, now + hour, BY_NOTIFY, NOTIFY_NEVER, 0, now + 5 * day, never },
	};

	h->config.queue.warn_after_ms = 4 * hour;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct accepted *m;

		h->release_at = rows[i].release_at;
		h->deliver_by = rows[i].deliver_by;
		h->deliver_by_mode = rows[i].mode;
		h->notify = rows[i].notify;
		submit_and_wait(h, 100 + i, "a@example.org", "b@x.example");
		m = stored(100 + i);
		assert_int_equal(m->envelope.release_at, rows[i].stored_release);
		assert_int_equal(m->envelope.deliver_by, rows[i].deliver_by);
		assert_int_equal(m->envelope.deliver_by_mode, rows[i].mode);
		assert_int_equal(m->expires_at, rows[i].expires_at);
		assert_int_equal(m->warn_at, rows[i].warn_at);
		assert_int_equal(m->envelope.priority, PRIORITY_NORMAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_accept, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_again, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_transaction, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_without_login, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_breaches, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_times, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_large, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_open_file, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_counted_recipients, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_dropped_files, setup, harness_teardown),
		cmocka_unit_test_setup_teardown(test_channel_ends_while_accepting, setup, harness_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
