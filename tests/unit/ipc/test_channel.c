/* test_channel.c - two ends of a channel on one loop: calls, deaths, cancels, credit, order, descriptors, large datagrams. */
#include "unit.h"

#include "posthouse/ipc.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STOCK_SNDBUF 212992

struct end {
	struct channel *ch;
	const char *closed; /* reason */
	unsigned envelopes, submits, answers;
	size_t last_text;
	uint64_t last_call, order[4];
	struct verdict last;
	bool mute, credit;
	int fd;
};

static uv_loop_t *loop;
static struct end submission, queue;

static void handle_envelope(void *ctx, struct channel *ch, const struct msg_envelope *m, int fd)
{
	struct end *e = ctx;

	e->order[(e->envelopes + e->submits) % 4] = m->transaction;
	e->envelopes++;
}

static void handle_submit(void *ctx, struct channel *ch, const struct msg_submit *m, int fd)
{
	struct end *e = ctx;

	e->order[(e->envelopes + e->submits) % 4] = m->transaction;
	e->submits++;
	e->last_text = m->text.n;
	e->last_call = m->call;
	if (!e->mute)
		ipc_send_submitted(
			ch, &(struct msg_submitted){ .call = m->call, .verdict = ok_text(250, S("2.0.0"), S("stored")) }, -1);
}

static void handle_spool_open(void *ctx, struct channel *ch, const struct msg_spool_open *m, int fd)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	ipc_send_spool_opened(ch, &(struct msg_spool_opened){ .call = m->call }, null);
	close(null);
}

static const struct ipc_handlers handlers = { .envelope = handle_envelope,
					      .submit = handle_submit,
					      .spool_open = handle_spool_open };

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct end *e = ctx;

	e->closed = reason;
	e->ch = NULL;
	channel_free(ch);
}

static void on_submitted(void *ctx, struct verdict v, const struct msg_submitted *m, int fd)
{
	struct end *e = ctx;

	e->answers++;
	e->last = m ? m->verdict : v;
	e->last.text = S("");
}

static void on_spool_opened(void *ctx, struct verdict v, const struct msg_spool_opened *m, int fd)
{
	struct end *e = ctx;

	e->answers++;
	e->fd = fd;
}

static void run_until(const bool *done, unsigned ms)
{
	for (unsigned i = 0; i < ms && !(done && *done); i++) {
		uv_run(loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static int set_up(void **state)
{
	struct channel_config a = { .self = ROLE_SUBMISSION,
				    .peer = ROLE_QUEUE,
				    .incarnation = 3,
				    .handlers = &handlers,
				    .on_closed = on_closed,
				    .ctx = &submission };
	struct channel_config b = { .self = ROLE_QUEUE,
				    .peer = ROLE_SUBMISSION,
				    .incarnation = 4,
				    .handlers = &handlers,
				    .on_closed = on_closed,
				    .ctx = &queue };
	int ends[2], size = STOCK_SNDBUF / 2; /* the kernel doubles what is set */

	loop = uv_default_loop();
	submission = queue = (struct end){ .fd = -1 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
	submission.ch = channel_new(loop, ends[0], &a);
	queue.ch = channel_new(loop, ends[1], &b);
	run_until(NULL, 5);
	assert_int_equal(channel_peer_incarnation(submission.ch), 4);
	assert_int_equal(channel_peer_incarnation(queue.ch), 3);
	return 0;
}

static int tear_down(void **state)
{
	if (submission.ch)
		channel_close(submission.ch, "test over");
	if (queue.ch)
		channel_close(queue.ch, "test over");
	run_until(NULL, 20);
	assert_null(submission.ch);
	assert_null(queue.ch);
	return 0;
}

static void a_call_is_answered(void **state)
{
	uint64_t n = ipc_call_submit(submission.ch, &(struct msg_submit){ .text = S("hello") }, -1, on_submitted, &submission);

	assert_true(n != 0);
	assert_int_equal(submission.answers, 0); /* never before it returns */
	run_until(NULL, 20);
	assert_int_equal(submission.answers, 1);
	assert_int_equal(submission.last.class, OK);
	assert_int_equal(submission.last.code, 250);
}

static void the_largest_message_passes_with_the_stock_buffer(void **state)
{
	static char text[INLINE_MAX], prefix[64 * 1024];

	for (int i = 0; i < 50; i++)
		ipc_call_submit(submission.ch,
				&(struct msg_submit){ .text = { text, sizeof text }, .received = { prefix, sizeof prefix } }, -1,
				on_submitted, &submission);
	run_until(NULL, 300);
	assert_int_equal(submission.answers, 50);
	assert_int_equal(queue.last_text, INLINE_MAX);
}

static void a_dead_peer_answers_each_open_call(void **state)
{
	queue.mute = true;
	for (int i = 0; i < 3; i++)
		ipc_call_submit(submission.ch, &(struct msg_submit){ 0 }, -1, on_submitted, &submission);
	run_until(NULL, 10);
	channel_close(queue.ch, "dies");
	run_until(NULL, 20);
	assert_int_equal(submission.answers, 3);
	assert_int_equal(submission.last.class, TEMP);
	assert_string_equal(submission.closed, "the peer has ended");
}

static void a_call_into_the_void_fails_later(void **state)
{
	ipc_call_submit(NULL, &(struct msg_submit){ 0 }, -1, on_submitted, &submission);
	assert_int_equal(submission.answers, 0);
	run_until(NULL, 10);
	assert_int_equal(submission.answers, 1);
	assert_int_equal(submission.last.class, TEMP);
}

static void a_cancelled_call_is_never_answered(void **state)
{
	uint64_t n = ipc_call_submit(submission.ch, &(struct msg_submit){ 0 }, -1, on_submitted, &submission);
	uint64_t void_call = ipc_call_submit(NULL, &(struct msg_submit){ 0 }, -1, on_submitted, &submission);

	ipc_cancel(n);
	ipc_cancel(void_call);
	ipc_cancel(0);
	run_until(NULL, 20);
	assert_int_equal(queue.submits, 1); /* not undone */
	assert_int_equal(submission.answers, 0);
}

static void an_invented_answer_is_dropped(void **state)
{
	ipc_send_submitted(queue.ch, &(struct msg_submitted){ .call = 4711 }, -1);
	run_until(NULL, 20);
	assert_null(submission.closed);
}

static void a_message_without_handler_closes_the_channel(void **state)
{
	ipc_send_abandon_transaction(submission.ch, &(struct msg_abandon_transaction){ .transaction = 1 }, -1);
	run_until(NULL, 20);
	assert_string_equal(queue.closed, "the peer sent a message that is not taken here");
}

static void a_message_of_another_role_cannot_be_sent(void **state)
{
	assert_false(ipc_send_deliver(submission.ch, &(struct msg_deliver){ 0 }, -1));
	run_until(NULL, 10);
	assert_null(queue.closed);
}

static void a_descriptor_travels(void **state)
{
	ipc_call_spool_open(submission.ch, &(struct msg_spool_open){ .transaction = 1 }, -1, on_spool_opened, &submission);
	run_until(NULL, 20);
	assert_int_equal(submission.answers, 1);
	assert_true(submission.fd >= 0);
	assert_int_equal(write(submission.fd, "x", 1), 1);
	close(submission.fd);
}

static void on_credit(void *ctx)
{
	((struct end *)ctx)->credit = true;
}

static void credit_ends_and_comes_back(void **state)
{
	static char text[INLINE_MAX];
	struct credit_wait wait = { .on_credit = on_credit, .ctx = &submission };
	unsigned calls = 0;

	queue.mute = true;
	while (channel_has_credit(submission.ch) && calls < 1000) {
		ipc_call_submit(submission.ch, &(struct msg_submit){ .text = { text, sizeof text } }, -1, on_submitted,
				&submission);
		calls++;
	}
	assert_true(calls > 8 && calls < 100);
	channel_wait_credit(submission.ch, &wait);
	run_until(&submission.credit, 200);
	assert_false(submission.credit);
	assert_int_equal(queue.submits, calls);
	ipc_send_submitted(queue.ch, &(struct msg_submitted){ .call = queue.last_call }, -1);
	run_until(&submission.credit, 200);
	assert_true(submission.credit);
	assert_true(channel_has_credit(submission.ch));
}

static void control_overtakes_bulk_but_keeps_its_order(void **state)
{
	static char text[INLINE_MAX];
	unsigned bulk = 0;

	while (channel_queued(submission.ch) < 2) { /* the kernel is full: these wait */
		ipc_call_submit(submission.ch, &(struct msg_submit){ .transaction = 9, .text = { text, sizeof text } }, -1,
				on_submitted, &submission);
		bulk++;
	}
	ipc_send_envelope(submission.ch, &(struct msg_envelope){ .transaction = 1 }, -1);
	ipc_send_envelope(submission.ch, &(struct msg_envelope){ .transaction = 2 }, -1);
	run_until(NULL, 300);
	assert_int_equal(queue.envelopes, 2);
	assert_int_equal(queue.submits, bulk);
	assert_int_equal(submission.answers, bulk);
	assert_int_equal(queue.order[(bulk + 2 - 1) % 4], 9); /* the last that came was bulk, though sent before */
}

/* The other end says that it is the process 3, as master does (or does not). */
static void a_peer_cannot_say_that_it_is_another_process(void **state)
{
	for (uint64_t expected = 3; expected <= 4; expected++) {
		struct channel_config config = { .self = ROLE_QUEUE,
						 .peer = ROLE_SUBMISSION,
						 .peer_incarnation = expected,
						 .handlers = &handlers,
						 .on_closed = on_closed };
		struct msg_hello hello = { .role = ROLE_SUBMISSION, .incarnation = 3, .table_hash = ipc_table_hash() };
		struct end e = { .fd = -1 };
		struct buf b;
		int ends[2];

		config.ctx = &e;
		assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
		e.ch = channel_new(loop, ends[0], &config);
		buf_init(&b, IPC_DATAGRAM_MAX);
		assert_true(ipc_encode(&b, MSG_hello, 0, &hello));
		assert_true(send(ends[1], b.p + b.from, b.n, 0) > 0);
		buf_fini(&b);
		run_until(NULL, 20);
		assert_true((e.ch != NULL) == (expected == 3));
		if (e.ch)
			channel_close(e.ch, "test over");
		close(ends[1]);
		run_until(NULL, 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_is_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_largest_message_passes_with_the_stock_buffer, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_dead_peer_answers_each_open_call, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_call_into_the_void_fails_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_cancelled_call_is_never_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_invented_answer_is_dropped, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_message_without_handler_closes_the_channel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_message_of_another_role_cannot_be_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_descriptor_travels, set_up, tear_down),
		cmocka_unit_test_setup_teardown(credit_ends_and_comes_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_overtakes_bulk_but_keeps_its_order, set_up, tear_down),
		cmocka_unit_test(a_peer_cannot_say_that_it_is_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
