/* storing.c - messages that tests have stored otherwise than by submit(). */
#include "stored.h"

#include <unistd.h>

static void on_spool_opened(void *ctx, struct verdict v, const struct msg_spool_opened *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	assert_int_equal(m->verdict.class, OK);
	h->fd = fd;
}

static void on_file_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd)
{
	struct harness *h = ctx;

	assert_non_null(m);
	assert_int_equal(m->verdict.class, OK);
	h->answers_n++;
}

void submit_file_and_wait(struct harness *h, uint64_t id, const char *sender, const char *recipient)
{
	struct msg_spool_open open = { .transaction = id, .id = id, .size_hint = 24 };
	struct msg_envelope e = {
		.session = session_of(h), .transaction = id, .id = id, .token = 1, .envelope.sender = str_of(sender)
	};
	struct rec_recipient rec = { .n = 1, .address = str_of(recipient) };
	struct msg_recipients list = { .transaction = id, .recipients = { &rec, 1 } };
	struct rec_author from = { S("alice@example.org") };
	struct msg_submit s = { .transaction = id,
				.place = PLACE_FILE,
				.size = 24,
				.header_size = 16,
				.received = S("Received: here\r\n"),
				.from = { &from, 1 } };
	size_t before = h->answers_n;

	ipc_call_spool_open(h->submission, &open, -1, on_spool_opened, h);
	UNTIL(h, h->fd >= 0);
	assert_int_equal(write(h->fd, "Subject: large\r\n\r\nbody\r\n", 24), 24);
	assert_int_equal(close(h->fd), 0);
	h->fd = -1;
	ipc_send_envelope(h->submission, &e, -1);
	ipc_send_recipients(h->submission, &list, -1);
	ipc_call_submit(h->submission, &s, -1, on_file_submitted, h);
	UNTIL(h, h->answers_n > before);
}

static void on_remembered(void *ctx, struct verdict v)
{
	assert_int_equal(v.class, OK);
	*(bool *)ctx = true;
}

void store_remember(struct harness *h, const char *login, const char *address)
{
	struct new_recipient recipient = { .address = str_of(address) };
	struct accepted m = { .id = 1000000,
			      .token = 1,
			      .received_at = fake_now,
			      .expires_at = fake_now + 1,
			      .envelope.login = str_of(login),
			      .place = PLACE_ROW,
			      .text = S("x"),
			      .size = 1,
			      .recipients = &recipient,
			      .recipients_n = 1,
			      .held = S("of the test"),
			      .remember = true };
	bool done = false;

	store_accept(h->q->store, &m, on_remembered, &done);
	UNTIL(h, done);
}
