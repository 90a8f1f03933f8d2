/* test_secrets.c - what a SECRET message carried is nowhere in memory when it has been handled, sent, or dropped. */
#include "unit.h"

#include "../net/memory.h"

#include "posthouse/ipc.h"

#include <sys/socket.h>
#include <unistd.h>

struct end {
	struct channel *ch;
	unsigned handled;
	bool closed;
};

static uv_loop_t loop;
static struct end submission, login;
static char mark[MARK_BYTES];

/* As login would: the challenge is as secret as the response was. */
static void handle_login_start(void *ctx, struct channel *ch, const struct msg_login_start *m, int fd)
{
	struct end *e = ctx;

	e->handled++;
	assert_true(str_eq(m->initial, str_make(mark, MARK_BYTES)));
	assert_true(copies_of(mark) > 0);
	ipc_send_login_reply(ch, &(struct msg_login_reply){ .call = m->call, .challenge = m->initial }, -1);
}

static void handle_login_step(void *ctx, struct channel *ch, const struct msg_login_step *m, int fd)
{
	struct end *e = ctx;

	e->handled++;
}

static const struct ipc_handlers handlers = { .login_start = handle_login_start, .login_step = handle_login_step };

static void on_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd)
{
	struct end *e = ctx;

	e->handled++;
	if (m)
		assert_true(str_eq(m->challenge, str_make(mark, MARK_BYTES)));
}

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct end *e = ctx;

	e->closed = true;
	channel_free(ch);
}

static void run_until(bool (*reached)(void))
{
	for (unsigned i = 0; i < 30000 && !reached(); i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
	assert_true(reached());
}

static bool greeted(void)
{
	return channel_peer_incarnation(submission.ch) != 0 && channel_peer_incarnation(login.ch) != 0;
}

static bool replied(void)
{
	return submission.handled > 0;
}

static bool both_closed(void)
{
	return submission.closed && login.closed;
}

static int set_up(void **state)
{
	struct channel_config a = { .self = ROLE_SUBMISSION,
				    .peer = ROLE_LOGIN,
				    .incarnation = 1,
				    .handlers = &handlers,
				    .on_closed = on_closed,
				    .ctx = &submission };
	struct channel_config b = { .self = ROLE_LOGIN,
				    .peer = ROLE_SUBMISSION,
				    .incarnation = 2,
				    .handlers = &handlers,
				    .on_closed = on_closed,
				    .ctx = &login };
	int ends[2];

	uv_loop_init(&loop);
	submission = login = (struct end){ 0 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	submission.ch = channel_new(&loop, ends[0], &a);
	login.ch = channel_new(&loop, ends[1], &b);
	run_until(greeted);
	return 0;
}

static int tear_down(void **state)
{
	channel_close(submission.ch, "test over");
	channel_close(login.ch, "test over");
	run_until(both_closed);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop);
}

static void a_call_and_its_answer_leave_nothing(void **state)
{
	struct msg_login_start m = { .mechanism = S("PLAIN"), .initial = { mark, MARK_BYTES } };

	make_mark(mark, 0);
	assert_int_equal(copies_of(mark), 0);
	ipc_call_login_start(submission.ch, &m, -1, on_reply, &submission);
	assert_int_equal(copies_of(mark), 0); /* what lies in the socket is the kernel's */
	run_until(replied);
	assert_int_equal(login.handled, 1);
	assert_int_equal(copies_of(mark), 0);
}

static void what_was_refused_leaves_nothing(void **state)
{
	static char much[IPC_DATAGRAM_MAX];
	struct msg_login_start m = { .mechanism = { mark, MARK_BYTES }, .initial = { much, sizeof much } };

	make_mark(mark, 1);
	assert_false(ipc_send_login_start(submission.ch, &m, -1)); /* too large */
	assert_int_equal(copies_of(mark), 0);
}

static void what_never_left_leaves_nothing(void **state)
{
	make_mark(mark, 2);
	while (channel_queued(submission.ch) < 3)
		ipc_send_login_step(submission.ch, &(struct msg_login_step){ .response = { mark, MARK_BYTES } }, -1);
	assert_true(copies_of(mark) >= 3);
	channel_close(submission.ch, "test over");
	assert_int_equal(copies_of(mark), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_call_and_its_answer_leave_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_was_refused_leaves_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_never_left_leaves_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
