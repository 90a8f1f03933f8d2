/* test_hanging.c - the login role with a back-end that never answers for some: the others get their answer, those get 454 in time, and
 * when all threads are taken everybody does, at once. The back-end is saslauthd, played here. */
#include "loop.h"
#include "remove_tree.h"

#include "cyrus.h"
#include "login.h"
#include "posthouse/clock.h"
#include "posthouse/role.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TIMEOUT_MS 300
#define MANY       200

static char place[64], mux[96];
static struct str mechanisms[] = { { "PLAIN", 5 }, { "LOGIN", 5 } }, options[1];
static char option_text[128];
static struct config config;
static struct login login;
static struct channel *ours, *submission, *our_queue, *queue;
static unsigned stuck_calls;

static size_t busy;

/* The frame's part: what has begun in the role and has not ended. */
void role_busy(struct role *r, int change)
{
	busy += (size_t)change;
}

struct channel *role_peer(struct role *r, enum role_id peer, unsigned index)
{
	return peer == ROLE_QUEUE ? our_queue : NULL;
}

/* ---- the back-end: who is called hang... waits for ever, who has the password "yes" is in ---- */
static int listener, kept[1024];
static size_t kept_n;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static void *play_saslauthd(void *context)
{
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		char request[512];
		ssize_t n = recv(fd, request, sizeof(request), 0); /* it comes in one piece */
		struct str text = str_make(request, n > 0 ? (size_t)n : 0);

		if (str_search(text, S("hang")) < text.n) {
			pthread_mutex_lock(&kept_lock);
			assert_true(kept_n < 1024);
			kept[kept_n++] = fd;
			pthread_mutex_unlock(&kept_lock);
			continue;
		}
		send(fd, str_search(text, S("yes")) < text.n ? "\0\2OK" : "\0\2NO", 4, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

/* The back-end closes what it has kept: the threads come back. */
static void let_go(void)
{
	pthread_mutex_lock(&kept_lock);
	while (kept_n)
		close(kept[--kept_n]);
	pthread_mutex_unlock(&kept_lock);
}

/* ---- the role ---- */
static void handle_start(void *ctx, struct channel *ch, const struct msg_login_start *m, int fd)
{
	exchange_start(ctx, ch, m);
}

static void handle_end(void *ctx, struct channel *ch, const struct msg_login_end *m, int fd)
{
	exchange_end(ctx, ch, m);
}

/* queue agrees with the back-end. */
static void handle_authenticated(void *ctx, struct channel *ch, const struct msg_authenticated *m, int fd)
{
	struct verdict v = m->success ? ok() : perm(535, S("5.7.8"), S("queue counts it"));

	ipc_send_authorized(ch, &(struct msg_authorized){ .call = m->call, .verdict = v }, -1);
}

static void on_stuck(struct login *l)
{
	stuck_calls++;
}

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	exchanges_drop(&login, ch);
	channel_free(ch);
}

static void connect_pair(enum role_id peer, struct channel **ours_out, struct channel **theirs_out)
{
	static const struct ipc_handlers handlers = { .login_start = handle_start, .login_end = handle_end };
	static const struct ipc_handlers of_queue = { .authenticated = handle_authenticated };
	struct channel_config a = {
		.self = ROLE_LOGIN, .peer = peer, .incarnation = 1, .handlers = &handlers, .on_closed = on_closed, .ctx = &login
	};
	struct channel_config b = {
		.self = peer, .peer = ROLE_LOGIN, .incarnation = 1, .handlers = &of_queue, .on_closed = on_closed
	};
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	*ours_out = channel_new(login.loop, fds[0], &a);
	*theirs_out = channel_new(login.loop, fds[1], &b);
}

static int set_up(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	pthread_t thread;

	strcpy(place, "/tmp/posthouse-hanging-XXXXXX");
	assert_non_null(mkdtemp(place));
	snprintf(mux, sizeof(mux), "%s/mux", place);
	strcpy(address.sun_path, mux);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1024), 0);
	assert_int_equal(pthread_create(&thread, NULL, play_saslauthd, NULL), 0);
	pthread_detach(thread);
	snprintf(option_text, sizeof(option_text), "saslauthd_path=%s", mux);
	options[0] = str_of(option_text);
	config.hostname = S("relay.example.org");
	config.auth.realm = S("example.org");
	config.auth.backend = S("saslauthd");
	config.auth.mechanisms = (struct str_list){ mechanisms, 2 };
	config.auth.options = (struct str_list){ options, 1 };
	config.auth.timeout_ms = TIMEOUT_MS;
	login_init(&login, uv_default_loop(), place, &config.auth);
	login.config = &config;
	login.on_stuck = on_stuck;
	assert_int_equal(cyrus_start(login.directory, &config.auth).class, OK);
	connect_pair(ROLE_SUBMISSION, &ours, &submission);
	connect_pair(ROLE_QUEUE, &our_queue, &queue);
	return 0;
}

static int tear_down(void **state)
{
	channel_close(ours, "test ends");
	channel_close(submission, "test ends");
	channel_close(our_queue, "test ends");
	channel_close(queue, "test ends");
	login_close(&login);
	uv_run(login.loop, UV_RUN_DEFAULT);
	uv_loop_close(login.loop);
	login_fini(&login);
	cyrus_stop();
	remove_tree(place);
	return 0;
}

/* ---- clients ---- */
struct reply {
	unsigned code;
	uint64_t at_ms, call;
};

static uint64_t next_session = 1;

static void on_reply(void *ctx, struct verdict v, const struct msg_login_reply *m, int fd)
{
	struct reply *r = ctx;

	assert_non_null(m);
	r->code = m->verdict.code;
	r->at_ms = clock_mono_ms();
}

static uint64_t begin(struct reply *r, struct str initial)
{
	struct msg_login_start m = { .session = next_session++,
				     .mechanism = S("PLAIN"),
				     .service = S("smtp"),
				     .tls_version = 3,
				     .tls_bits = 256,
				     .initial = initial };

	*r = (struct reply){ 0 };
	r->call = ipc_call_login_start(submission, &m, -1, on_reply, r);
	return m.session;
}

static void turn_until(bool (*condition)(void *), void *context)
{
	RUN_UNTIL(login.loop, condition(context));
}

static bool has_code(void *reply)
{
	return ((struct reply *)reply)->code != 0;
}

static bool all_back(void *context)
{
	return login.open_exchanges == 0;
}

/* Until all threads have come back, which nobody but the back-end can bring about. */
static void recover(void)
{
	RUN_UNTIL(login.loop, (let_go(), login.open_exchanges == 0));
	uv_run(login.loop, UV_RUN_NOWAIT);
}

#define HANG S("\0hang\0x")
#define GOOD S("\0bob\0yes")
#define BAD  S("\0bob\0no")

static void test_others_are_served(void **state)
{
	struct reply hung[20], good, bad;
	uint64_t from = clock_mono_ms();

	for (size_t i = 0; i < 20; i++)
		begin(&hung[i], HANG);
	begin(&good, GOOD);
	begin(&bad, BAD);
	turn_until(has_code, &good);
	turn_until(has_code, &bad);
	assert_int_equal(good.code, 235);
	assert_int_equal(bad.code, 535);
	for (size_t i = 0; i < 20; i++) {
		turn_until(has_code, &hung[i]);
		assert_int_equal(hung[i].code, 454);
		assert_true(hung[i].at_ms - from >= TIMEOUT_MS);
		assert_true(good.at_ms <= hung[i].at_ms);
	}
	assert_int_equal(login.open_exchanges, 20); /* until their threads come back */
	begin(&good, GOOD);
	turn_until(has_code, &good);
	assert_int_equal(good.code, 235);
	recover();
}

/* More than there are threads: those in turn get 454 in time as well, then everybody at once, then the role wants to be ended. */
static void test_all_stuck(void **state)
{
	static struct reply hung[MANY];
	struct reply late;
	uint64_t from;

	for (size_t i = 0; i < MANY; i++)
		begin(&hung[i], HANG);
	for (size_t i = 0; i < MANY; i++) {
		turn_until(has_code, &hung[i]);
		assert_int_equal(hung[i].code, 454);
	}
	assert_int_equal(login.open_exchanges, workers_most(login.workers));
	assert_int_equal(workers_stuck(login.workers, TIMEOUT_MS - 100), workers_most(login.workers));
	while (workers_stuck(login.workers, TIMEOUT_MS) < workers_most(login.workers))
		usleep(1000);
	from = clock_mono_ms();
	begin(&late, GOOD);
	turn_until(has_code, &late);
	assert_int_equal(late.code, 454);
	assert_true(late.at_ms - from < TIMEOUT_MS);
	while (workers_stuck(login.workers, 4 * TIMEOUT_MS) < workers_most(login.workers))
		usleep(1000);
	stuck_calls = 0;
	begin(&late, GOOD);
	turn_until(has_code, &late);
	assert_int_equal(stuck_calls, 1);
	recover();
	begin(&late, GOOD);
	turn_until(has_code, &late);
	assert_int_equal(late.code, 235);
	turn_until(all_back, NULL);
}

/* A client that goes while its back-end hangs leaves nothing but the thread. */
static void test_client_goes(void **state)
{
	struct reply hung, good;
	uint64_t session = begin(&hung, HANG);

	begin(&good, GOOD);
	turn_until(has_code, &good);
	ipc_cancel(hung.call);
	ipc_send_login_end(submission, &(struct msg_login_end){ .session = session }, -1);
	begin(&good, GOOD);
	turn_until(has_code, &good);
	assert_int_equal(hung.code, 0);
	assert_true(list_empty(&login.exchanges));
	recover();
	assert_int_equal(hung.code, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_others_are_served),
		cmocka_unit_test(test_all_stuck),
		cmocka_unit_test(test_client_goes),
	};

	return cmocka_run_group_tests_name("hanging", tests, set_up, tear_down);
}
