/* test_console.c - the console's real process; master, queue and clients of the control socket are played by the test. */
#include "../role/played.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS_MAX 32 /* the console's limit */

static const char *program;

struct client {
	struct channel *ch; /* NULL: closed */
	unsigned closed, answered;
	struct verdict verdict;
	uint64_t cursor; /* of the last answer: which it was */
};

static struct world {
	struct played role;
	struct config config;
	uv_loop_t loop;
	struct sockaddr_un address;
	socklen_t address_n;
	struct client clients[CLIENTS_MAX + 2];
	struct {
		uint64_t call, id;
	} asked[8]; /* of queue */
	unsigned asked_n;
} world;

/* ---- queue ---- */
static void on_trace(void *ctx, struct channel *ch, const struct msg_trace *m, int fd)
{
	struct world *w = &world;

	assert_true(w->asked_n < 8);
	w->asked[w->asked_n].call = m->call;
	w->asked[w->asked_n++].id = m->id;
}

static const struct ipc_handlers queue_handlers = { .trace = on_trace };

/* The answer names the message that was asked for. */
static void answer(struct world *w, unsigned i)
{
	ipc_send_traced(w->role.peers[ROLE_QUEUE],
			&(struct msg_traced){ .call = w->asked[i].call, .verdict = ok(), .cursor = w->asked[i].id }, -1);
}

/* ---- clients ---- */
static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct client *c = ctx;

	c->ch = NULL;
	c->closed++;
	channel_free(ch);
}

static void on_traced(void *ctx, struct verdict v, const struct msg_traced *m, int fd)
{
	struct client *c = ctx;

	c->verdict = verdict_keep(&world.role.arena, m ? m->verdict : v);
	c->cursor = m ? m->cursor : 0;
	c->answered++;
}

static void on_stats(void *ctx, struct verdict v, const struct msg_stats_are *m, int fd)
{
	struct client *c = ctx;

	c->verdict = verdict_keep(&world.role.arena, m ? m->verdict : v);
	c->answered++;
}

static int connect_socket(const struct world *w)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&w->address, w->address_n), 0);
	return fd;
}

static struct client *come(struct world *w, unsigned i)
{
	static const struct ipc_handlers none;
	struct client *c = &w->clients[i];
	struct channel_config config = {
		.self = ROLE_CLI, .peer = ROLE_CONSOLE, .incarnation = 1, .handlers = &none, .on_closed = on_closed, .ctx = c
	};

	*c = (struct client){ .ch = channel_new(&w->loop, connect_socket(w), &config) };
	return c;
}

static void leave(struct world *w, struct client *c)
{
	channel_close(c->ch, "done");
	assert_true(run_until(&w->loop, &c->closed, 1));
}

static void ask(struct client *c, uint64_t id)
{
	ipc_call_trace(c->ch, &(struct msg_trace){ .id = id }, -1, on_traced, c);
}

/* Ask, and let queue answer. */
static void assert_served(struct world *w, struct client *c, uint64_t id)
{
	unsigned answered = c->answered + 1;

	ask(c, id);
	assert_true(run_until(&w->loop, &w->asked_n, w->asked_n + 1));
	answer(w, w->asked_n - 1);
	assert_true(run_until(&w->loop, &c->answered, answered));
	assert_int_equal(c->verdict.class, OK);
	assert_int_equal(c->cursor, id);
}

/* ---- the world ---- */
static int setup(void **state)
{
	struct world *w = &world;
	int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	*w = (struct world){ .address = { .sun_family = AF_UNIX }, .address_n = sizeof w->address };
	uv_loop_init(&w->loop);
	w->role = (struct played){ .loop = &w->loop, .role = ROLE_CONSOLE, .program = program };
	/* the kernel gives a name that nobody has, and that is no file */
	assert_int_equal(bind(listener, (struct sockaddr *)&w->address, sizeof w->address.sun_family), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&w->address, &w->address_n), 0);
	assert_int_equal(listen(listener, CLIENTS_MAX + 8), 0);
	played_start(&w->role, &w->config);
	played_connect(&w->role, ROLE_QUEUE, &queue_handlers);
	ipc_send_listener(w->role.master, &(struct msg_listener){ 0 }, listener);
	close(listener);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	played_end(&w->role);
	for (size_t i = 0; i < sizeof w->clients / sizeof w->clients[0]; i++)
		if (w->clients[i].ch)
			channel_close(w->clients[i].ch, "end");
	run_for(&w->loop, 20);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&w->loop);
}

/* ---- tests ---- */
static void test_answers_go_to_who_has_asked(void **state)
{
	struct world *w = *state;
	struct client *one = come(w, 0), *two = come(w, 1);

	ask(one, 11);
	assert_true(run_until(&w->loop, &w->asked_n, 1));
	ask(two, 22);
	ask(one, 33);
	assert_true(run_until(&w->loop, &w->asked_n, 3));
	for (unsigned i = 3; i-- > 0;) { /* the last first */
		struct client *c = w->asked[i].id == 22 ? two : one;
		unsigned answered = c->answered + 1;

		answer(w, i);
		assert_true(run_until(&w->loop, &c->answered, answered));
		assert_int_equal(c->verdict.class, OK);
		assert_int_equal(c->cursor, w->asked[i].id);
	}
	assert_int_equal(one->answered, 2);
	assert_int_equal(two->answered, 1);
}

/* False: the console has closed. */
static bool offer_message(int fd, enum msg_type type, const void *message)
{
	struct buf b;
	bool sent;

	buf_init(&b, IPC_DATAGRAM_MAX);
	assert_true(ipc_encode(&b, type, 1, message));
	sent = send(fd, buf_view(&b).p, buf_view(&b).n, MSG_NOSIGNAL) == (ssize_t)buf_view(&b).n;
	assert_true(sent || errno == EPIPE || errno == ECONNRESET);
	buf_fini(&b);
	return sent;
}

static void send_message(int fd, enum msg_type type, const void *message)
{
	assert_true(offer_message(fd, type, message));
}

/* The next message of this type, past the console's hello. */
static uint64_t read_cursor(struct world *w, int fd)
{
	char bytes[4096];

	for (unsigned i = 0; i < PATIENCE_MS / 10; i++) {
		ssize_t got = recv(fd, bytes, sizeof bytes, 0);
		struct str datagram = str_make(bytes, got > 0 ? (size_t)got : 0);
		union ipc_message *m;
		enum msg_type type;

		if (got > 0 && ipc_decode(&w->role.arena, datagram, ROLE_CONSOLE, ROLE_CLI, false, &type, &m) &&
		    type == MSG_traced)
			return m->traced.cursor;
		if (got < 0)
			run_for(&w->loop, 10);
	}
	fail_msg("no answer comes");
	return 0;
}

/* The next client gets the same place, and its call has the same number, but it does not get the answer. */
static void test_a_client_that_has_left_gets_no_answer(void **state)
{
	struct msg_hello m = { .role = ROLE_CLI, .incarnation = 1, .table_hash = ipc_table_hash() };
	struct world *w = *state;

	for (unsigned i = 0; i < 2; i++) {
		int fd = connect_socket(w);

		send_message(fd, MSG_hello, &m);
		send_message(fd, MSG_trace, &(struct msg_trace){ .id = 11 + i });
		assert_true(run_until(&w->loop, &w->asked_n, i + 1));
		if (i == 1) {
			answer(w, 0);
			answer(w, 1);
			assert_int_equal(read_cursor(w, fd), 12);
		}
		close(fd);
		run_for(&w->loop, 50); /* the console sees it leave */
	}
}

/* Until the console closes; what it sends before (its hello, answers) is counted. */
static unsigned read_to_end(struct world *w, int fd)
{
	unsigned n = 0;
	char bytes[4096];

	for (unsigned i = 0; i < PATIENCE_MS / 10; i++) {
		ssize_t got = recv(fd, bytes, sizeof bytes, 0);

		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return n;
		n += got > 0;
		if (got < 0)
			run_for(&w->loop, 10);
	}
	fail_msg("the console does not close");
	return n;
}

/* Only what an administrator can ask is taken; other clients are served on. */
static void test_messages_that_no_client_sends(void **state)
{
	struct world *w = *state;
	struct client *other = come(w, 0);
	struct msg_hello hello = { .role = ROLE_CLI, .incarnation = 1, .table_hash = ipc_table_hash() };
	struct msg_hello queue = hello, old = hello;
	const struct {
		enum msg_type type;
		const void *message;
	} forbidden[] = {
		{ MSG_stop, &(struct msg_stop){ .grace_ms = 1 } },  /* master's */
		{ MSG_admit, &(struct msg_admit){ .session = 1 } }, /* submission's, to queue */
		{ MSG_traced, &(struct msg_traced){ .call = 1 } },  /* an answer, from a client */
		{ MSG_hello, &hello },                              /* once is enough */
	};

	queue.role = ROLE_QUEUE;
	old.table_hash++;
	assert_served(w, other, 1);
	for (size_t i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
		int fd = connect_socket(w);

		send_message(fd, MSG_hello, &hello);
		send_message(fd, forbidden[i].type, forbidden[i].message);
		assert_true(read_to_end(w, fd) <= 1);
		close(fd);
	}
	for (unsigned i = 0; i < 3; i++) { /* another role, another build, no hello at all */
		int fd = connect_socket(w);

		if (i < 2)
			send_message(fd, MSG_hello, i == 0 ? &queue : &old);
		(void)offer_message(fd, MSG_trace, &(struct msg_trace){ .id = 66 }); /* it can have closed at the hello */
		assert_true(read_to_end(w, fd) <= 1);
		close(fd);
	}
	assert_served(w, other, 2);
	assert_int_equal(w->asked_n, 2);
}

/* The client is refused, or what it asks has come to queue. */
static bool is_decided(const void *what, size_t asked)
{
	return ((const struct client *)what)->closed || world.asked_n >= asked;
}

static void test_more_clients_than_the_limit(void **state)
{
	struct world *w = *state;
	struct client *late;

	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		come(w, i);
	assert_served(w, &w->clients[CLIENTS_MAX - 1], 1);
	late = come(w, CLIENTS_MAX);
	assert_true(run_until(&w->loop, &late->closed, 1));
	for (unsigned i = 0; i < CLIENTS_MAX; i++)
		assert_int_equal(w->clients[i].closed, 0);
	leave(w, &w->clients[3]);
	do { /* until the console has seen that one leave */
		late = come(w, CLIENTS_MAX);
		ask(late, 2);
		assert_true(run_while(&w->loop, is_decided, late, 2, PATIENCE_MS));
	} while (late->closed);
	answer(w, 1);
	assert_true(run_until(&w->loop, &late->answered, 1));
	assert_int_equal(late->cursor, 2);
}

/* A role that is away, or that nobody can ask, is an answer too. */
static void test_roles_that_are_away(void **state)
{
	static const uint64_t roles[] = { ROLE_LOGIN, ROLE_VAULT, ROLE_MASTER, ROLE_COUNT, UINT64_MAX };
	struct world *w = *state;
	struct client *c = come(w, 0);

	for (unsigned i = 0; i < sizeof roles / sizeof roles[0]; i++) {
		ipc_call_stats(c->ch, &(struct msg_stats){ .role = roles[i] }, -1, on_stats, c);
		assert_true(run_until(&w->loop, &c->answered, i + 1));
		assert_int_equal(c->verdict.class, TEMP);
	}
	ask(c, 1);
	assert_true(run_until(&w->loop, &w->asked_n, 1));
	played_disconnect(&w->role, ROLE_QUEUE);
	assert_true(run_until(&w->loop, &c->answered, sizeof roles / sizeof roles[0] + 1));
	assert_int_equal(c->verdict.class, TEMP);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers_go_to_who_has_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_client_that_has_left_gets_no_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_messages_that_no_client_sends, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_clients_than_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roles_that_are_away, setup, teardown),
	};

	assert_int_equal(argc, 2);
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
