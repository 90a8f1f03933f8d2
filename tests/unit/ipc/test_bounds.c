/* test_bounds.c - a peer that breaks the rules or asks too much: its channel ends, and this process keeps nothing of it. */
#include "unit.h"

#include "posthouse/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct end {
	struct channel *ch;
	const char *closed; /* reason */
	unsigned envelopes, submits;
	bool mute;
};

static uv_loop_t *loop;

static void handle_envelope(void *ctx, struct channel *ch, const struct msg_envelope *m, int fd)
{
	((struct end *)ctx)->envelopes++;
}

static void handle_submit(void *ctx, struct channel *ch, const struct msg_submit *m, int fd)
{
	struct end *e = ctx;

	e->submits++;
	if (!e->mute)
		ipc_send_submitted(ch, &(struct msg_submitted){ .call = m->call, .verdict = ok() }, -1);
}

static const struct ipc_handlers handlers = { .envelope = handle_envelope, .submit = handle_submit };

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct end *e = ctx;

	e->closed = reason;
	e->ch = NULL;
	channel_free(ch);
}

static void run_for(unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		uv_run(loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

/* ---- a peer that is not one of ours ---- */

/* The queue's end of a channel whose other end is a bare socket that has said hello. */
static int bare_peer_of(struct end *e, uint64_t messages_per_s)
{
	struct channel_config config = { .self = ROLE_QUEUE,
					 .messages_per_s = messages_per_s,
					 .peer = ROLE_SUBMISSION,
					 .incarnation = 4,
					 .handlers = &handlers,
					 .on_closed = on_closed,
					 .ctx = e };
	struct msg_hello hello = { .role = ROLE_SUBMISSION, .incarnation = 3, .table_hash = ipc_table_hash() };
	struct buf b;
	int ends[2];

	*e = (struct end){ 0 };
	loop = uv_default_loop();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	e->ch = channel_new(loop, ends[0], &config);
	buf_init(&b, IPC_DATAGRAM_MAX);
	assert_true(ipc_encode(&b, MSG_hello, 0, &hello));
	assert_true(send(ends[1], b.p + b.from, b.n, 0) > 0);
	buf_fini(&b);
	run_for(5);
	assert_int_equal(channel_peer_incarnation(e->ch), 3);
	return ends[1];
}

static int bare_peer(struct end *e)
{
	return bare_peer_of(e, 0);
}

static unsigned open_descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

/* A message that takes no descriptor, with so many. */
static void send_descriptors(int to, unsigned n)
{
	struct msg_envelope m = { .transaction = 1 };
	char control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec iov;
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(n * sizeof(int))
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct buf b;

	buf_init(&b, IPC_DATAGRAM_MAX);
	assert_true(ipc_encode(&b, MSG_envelope, 0, &m));
	iov = (struct iovec){ b.p + b.from, b.n };
	*c = (struct cmsghdr){ CMSG_LEN(n * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	for (unsigned i = 0; i < n; i++)
		memcpy(CMSG_DATA(c) + i * sizeof(int), &(int){ 1 }, sizeof(int));
	assert_true(sendmsg(to, &msg, 0) > 0);
	buf_fini(&b);
}

static void many_descriptors_close_the_channel_and_none_stays(void **state)
{
	static const unsigned counts[] = { 2, 3, 4, 200, 253 };

	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		struct end e;
		int peer = bare_peer(&e);
		unsigned before = open_descriptors();

		for (int k = 0; k < 5; k++)
			send_descriptors(peer, counts[i]);
		run_for(20);
		assert_null(e.ch);
		assert_string_equal(e.closed, "the peer sent more than one descriptor");
		assert_int_equal(e.envelopes, 0);
		assert_int_equal(open_descriptors(), before - 1); /* the channel's own */
		close(peer);
	}
}

static void an_unasked_descriptor_closes_the_channel_and_does_not_stay(void **state)
{
	struct end e;
	int peer = bare_peer(&e);
	unsigned before = open_descriptors();

	send_descriptors(peer, 1);
	run_for(20);
	assert_null(e.ch);
	assert_int_equal(open_descriptors(), before - 1);
	close(peer);
}

static void control_messages_for_a_peer_that_does_not_read_are_bounded(void **state)
{
	static char words[60000];
	struct end e;
	int peer = bare_peer(&e);
	unsigned sent = 0;

	while (sent < 100000 &&
	       ipc_send_submitted(
		       e.ch, &(struct msg_submitted){ .verdict = ok_text(250, S("2.0.0"), str_make(words, sizeof words)) }, -1))
		sent++;
	assert_true(sent > 100 && sent < 1000);
	assert_int_equal(channel_queued(e.ch), 0);
	run_for(20);
	assert_null(e.ch);
	assert_string_equal(e.closed, "the peer does not read its messages");
	close(peer);
}

/* Write a message as the peer would. False: the channel has closed. */
static bool say(int peer, enum msg_type type, uint64_t call, const void *m)
{
	struct buf b;
	ssize_t n;

	buf_init(&b, IPC_DATAGRAM_MAX);
	assert_true(ipc_encode(&b, type, call, m));
	do {
		uv_run(loop, UV_RUN_NOWAIT);
		n = send(peer, b.p, b.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n < 0 && errno == EAGAIN);
	buf_fini(&b);
	return n > 0;
}

static void requests_without_an_answer_are_bounded(void **state)
{
	struct end e;
	int peer = bare_peer(&e);
	unsigned said = 0;

	e.mute = true;
	while (e.ch && said < 300000 && say(peer, MSG_submit, said + 1, &(struct msg_submit){ .transaction = 1 }))
		said++;
	run_for(20);
	assert_null(e.ch);
	assert_string_equal(e.closed, "too many requests without an answer");
	assert_in_range(e.submits, 50000, 100000);
	close(peer);
}

static void answered_requests_have_no_bound(void **state)
{
	struct end e;
	int peer = bare_peer(&e);
	char room[1000];

	for (unsigned i = 0; i < 100000; i++) {
		assert_true(say(peer, MSG_submit, i + 1, &(struct msg_submit){ .transaction = 1 }));
		while (recv(peer, room, sizeof room, MSG_DONTWAIT) > 0)
			;
	}
	run_for(5);
	assert_non_null(e.ch);
	assert_int_equal(e.submits, 100000);
	channel_close(e.ch, "done");
	run_for(5);
	close(peer);
}

/* The descriptors of a peer that reads nothing are this process's own. */
static void descriptors_for_a_peer_that_does_not_read_are_bounded(void **state)
{
	struct end e;
	int peer = bare_peer(&e), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	unsigned before = open_descriptors(), sent = 0;

	while (sent < 10000 && ipc_send_spool_opened(e.ch, &(struct msg_spool_opened){ 0 }, null))
		sent++;
	assert_in_range(sent, 500, 4000);
	run_for(20);
	assert_null(e.ch);
	close(null);
	close(peer);
	assert_int_equal(open_descriptors(), before - 3);
}

static void a_slow_peer_is_allowed_few_messages_in_a_second(void **state)
{
	struct end e;
	int peer = bare_peer_of(&e, 10);
	unsigned said = 0;

	while (e.ch && said < 10000 && say(peer, MSG_envelope, 0, &(struct msg_envelope){ .transaction = said }))
		said++;
	run_for(20);
	assert_null(e.ch);
	assert_string_equal(e.closed, "too many messages");
	assert_in_range(e.envelopes, 90, 2000); /* a hundred at once, and ten more with each second that a slow machine needs */
	close(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_descriptors_close_the_channel_and_none_stays),
		cmocka_unit_test(an_unasked_descriptor_closes_the_channel_and_does_not_stay),
		cmocka_unit_test(control_messages_for_a_peer_that_does_not_read_are_bounded),
		cmocka_unit_test(descriptors_for_a_peer_that_does_not_read_are_bounded),
		cmocka_unit_test(requests_without_an_answer_are_bounded),
		cmocka_unit_test(answered_requests_have_no_bound),
		cmocka_unit_test(a_slow_peer_is_allowed_few_messages_in_a_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
