/* test_trouble.c - queue, login or the client is away, dies or is silent: nothing is promised that does not hold, and nobody waits for ever. */
#include "harness.h"

#include "posthouse/clock.h"
#include "posthouse/id.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Queue dies with a message open: the next one is told who is connected, and is offered the message again, by which it knows it. */
static void test_queue_dies(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->silent_at_submit = true;
	start(w);
	client = open_login(w);
	begin_message(w, client);
	say(client, SMALL_TEXT);
	assert_true(wait_for(w, &w->offers_n, 1));
	played_disconnect(&w->role, ROLE_QUEUE);
	run_for(w->role.loop, 100);
	assert_int_equal(client->got.n, 0);
	w->silent_at_submit = false;
	w->last_login = S("");
	played_connect(&w->role, ROLE_QUEUE, &queue_handlers);
	expect_reply(w, client, "250 2.0.0 Ok: queued as ");
	assert_int_equal(w->presents, 1);
	assert_true(str_eq(w->last_login, S("alice@example.org")));
	assert_int_equal(w->offers_n, 2);
	assert_true(w->offers[0].id == w->offers[1].id && w->offers[0].token == w->offers[1].token);
	assert_true(str_eq(w->offers[0].recipients, w->offers[1].recipients));
	assert_true(str_eq(w->offers[0].text, w->offers[1].text) && str_eq(w->offers[0].received, w->offers[1].received));
	assert_true(str_eq(w->offers[0].digest, w->offers[1].digest) && str_eq(w->offers[0].field, w->offers[1].field));
}

/* Queue dies and no other comes: 451 after 10 s. The session lives on. */
static void test_queue_stays_away(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->silent_at_submit = true;
	start(w);
	client = open_login(w);
	begin_message(w, client);
	say(client, SMALL_TEXT);
	assert_true(wait_for(w, &w->offers_n, 1));
	played_disconnect(&w->role, ROLE_QUEUE);
	expect_reply(w, client, "451 4.3.0 Queue unavailable");
	talk(w, client, "NOOP", "250");
	w->silent_at_submit = false;
	played_connect(&w->role, ROLE_QUEUE, &queue_handlers);
	begin_message(w, client);
	say(client, SMALL_TEXT);
	expect_reply(w, client, "250 2.0.0");
	assert_int_equal(w->offers_n, 2);
	assert_true(w->offers[0].id != w->offers[1].id);
}

/* A queue that is there and never answers: 451 when the call's time is over. */
static void test_queue_is_silent(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->reserving = 3;
	w->silent_at_reserve = true;
	start(w);
	client = open_login(w);
	talk(w, client, "MAIL FROM:<alice@example.org>", "451 4.3.0 Queue unavailable");
	w->silent_at_reserve = false;
	talk(w, client, "MAIL FROM:<alice@example.org>", "250 2.1.0");
	w->reservation = temp(450, S("4.7.1"), S("Too many recipients for today"));
	talk(w, client, "RCPT TO:<bob@example.net>", "450 4.7.1 Too many recipients for today");
	talk(w, client, "DATA", "554 5.5.1");
	assert_int_equal(w->reserves, 3);
	talk(w, client, "RSET", "250");
	assert_true(wait_for(w, &w->abandoned, 2));
}

/* What queue says to a message is what the client hears. */
static void test_queue_refuses(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->submission = temp(452, S("4.3.1"), S("No room"));
	start(w);
	client = open_login(w);
	begin_message(w, client);
	say(client, SMALL_TEXT);
	expect_reply(w, client, "452 4.3.1 No room");
	w->submission = ok();
	begin_message(w, client);
	say(client, SMALL_TEXT);
	expect_reply(w, client, "250 2.0.0");
}

/* Login is away, or dies with an exchange open: a temporary failure that nobody counts. */
static void test_login_dies(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->silent_login = true;
	start(w);
	client = open_session(w);
	say(client, RIGHT_PASSWORD "\r\n");
	assert_true(wait_for(w, &w->logins, 1));
	played_disconnect(&w->role, ROLE_LOGIN);
	expect_reply(w, client, "454 4.7.0 Login is not possible at the moment");
	talk(w, client, RIGHT_PASSWORD, "454 4.7.0 Login is not possible at the moment");
	w->silent_login = false;
	played_connect(&w->role, ROLE_LOGIN, &login_handlers);
	talk(w, client, RIGHT_PASSWORD, "235 2.7.0");
	assert_int_equal(w->failures, 0);
}

/* A client that leaves before its final dot takes back its message. */
static void test_client_leaves(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->reserving = 1;
	start(w);
	client = open_login(w);
	begin_message(w, client);
	say(client, "From: alice@example.org\r\n\r\nhalf a");
	run_for(w->role.loop, 50);
	stream_close(client->st);
	assert_true(wait_for(w, &w->abandoned, 1));
	assert_true(wait_for(w, &w->leaves, 1));
	assert_int_equal(w->offers_n, 0);
}

/* A connection to the role that ends by RST when it is closed. */
static int connect_to_break(struct world *w)
{
	struct sockaddr_in to;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	uv_ip4_addr("127.0.0.1", (int)w->ports[DOOR_DIRECT], &to);
	assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 }, sizeof(struct linger)), 0);
	return fd;
}

/* A listed host needs neither TLS nor a login. */
static void list_host(struct world *w)
{
	static struct str here[] = { { "127.0.0.1/32", 12 } }, anybody[] = { { "*", 1 } };
	static struct cfg_device device = { .networks = { here, 1 },
					    .user = { "alice@example.org", 17 },
					    .sender = { "scanner@example.org", 19 },
					    .recipients = { anybody, 1 },
					    .tls = DEVICE_TLS_NONE };

	w->config.devices = &device;
	w->config.devices_n = 1;
}

static void on_session_ended(void *ctx, struct verdict v, const struct msg_session_ended *m, int fd)
{
	*(unsigned *)ctx += m != NULL;
}

/* A host does not send as a login that is locked, nor while nobody can say so; a session that has begun ends. */
static void test_login_of_a_host_is_locked(void **state)
{
	struct world *w = *state;
	struct msg_session_over over = { 0 };
	struct end *client;
	unsigned ended = 0;

	list_host(w);
	w->locked = true;
	start(w);
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "421 4.7.0 locked");
	assert_int_equal(w->failures, 0);
	w->locked = false;
	client = open_client(w, DOOR_DIRECT);
	expect_reply(w, client, "220 ");
	assert_true(str_eq(w->last_login, S("alice@example.org")));
	assert_int_equal(w->passed_family, AF_INET); /* login can ask the kernel */
	over.session = w->last_session;
	ipc_call_session_over(w->role.peers[ROLE_QUEUE], &over, -1, on_session_ended, &ended);
	expect_reply(w, client, "421 4.7.0 The login that this host sends as is locked");
	expect_end(w, client);
	assert_true(wait_for(w, &ended, 1));
	played_disconnect(&w->role, ROLE_LOGIN);
	expect_reply(w, open_client(w, DOOR_DIRECT), "421 4.7.0 Hosts cannot be checked now");
}

/* Behind the final dot it does not: the message goes on without it, also to a new queue, which hears whose it is. A stop waits for
 * the answer, and only then queue hears that the session is over. */
static void test_client_breaks_off(void **state)
{
	static const char said[] =
		"EHLO scanner\r\nMAIL FROM:<>\r\nRCPT TO:<bob@example.net>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.\r\n";
	struct world *w = *state;
	int client;

	list_host(w);
	w->silent_at_submit = true;
	start(w);
	client = connect_to_break(w);
	assert_int_equal(write(client, said, sizeof(said) - 1), sizeof(said) - 1);
	assert_true(wait_for(w, &w->offers_n, 1));
	assert_true(str_eq(w->offers[0].login, S("alice@example.org")));
	assert_true(str_eq(w->offers[0].sender, S("scanner@example.org")));
	assert_true(holds(w->offers[0].text, "From: scanner@example.org\r\n"));
	close(client);
	run_for(w->role.loop, 200);
	assert_int_equal(w->leaves, 0);
	played_disconnect(&w->role, ROLE_QUEUE);
	w->known_n = 0;
	played_connect(&w->role, ROLE_QUEUE, &queue_handlers);
	assert_true(wait_for(w, &w->offers_n, 2));
	assert_int_equal(w->presents, 1);
	assert_int_equal(w->offers[1].session, w->offers[0].session);
	assert_true(str_eq(w->offers[1].login, S("alice@example.org")));
	played_stop(&w->role, 20000);
	run_for(w->role.loop, 500);
	assert_int_equal(w->role.stopped, 0);
	assert_int_equal(w->abandoned, 0);
	assert_int_equal(w->leaves, 0);
	answer_submit(w, ok());
	played_wait(&w->role);
	assert_int_equal(w->leaves, 1);
}

/* All that queue has sent so far. */
static void let_it_read(struct world *w)
{
	unsigned answered = 0;

	ipc_call_session_over(w->role.peers[ROLE_QUEUE], &(struct msg_session_over){ .session = 0 }, -1, on_session_ended,
			      &answered);
	assert_true(wait_for(w, &answered, 1));
}

static void say_node(struct world *w, unsigned number, uint64_t floor_ms, enum node_state state)
{
	struct msg_node_is m = { .number = number, .id_floor_ms = floor_ms, .state = state };

	assert_true(ipc_send_node_is(w->role.peers[ROLE_QUEUE], &m, -1));
	let_it_read(w);
}

static uint64_t send_one(struct world *w, struct end *client)
{
	begin_message(w, client);
	say(client, SMALL_TEXT);
	expect_reply(w, client, "250 2.0.0");
	return w->offers[w->offers_n - 1].id;
}

/* A node of a cluster: ids have its number and are above the floor; MAIL hears whether it takes mail. */
static void test_node(void **state)
{
	struct world *w = *state;
	struct end *client;
	uint64_t before, id, floor_ms = clock_now_ms() + 50000;

	start(w);
	client = open_login(w);
	before = send_one(w, client);
	assert_int_equal(id_node(before), 0);
	say_node(w, 5, floor_ms, NODE_UP);
	id = send_one(w, client);
	assert_int_equal(id_node(id), 5);
	assert_true(id > before && id_time_ms(id) > floor_ms);

	begin_message(w, client); /* what has begun goes on */
	say_node(w, 5, 0, NODE_AWAY);
	say(client, SMALL_TEXT);
	expect_reply(w, client, "250 2.0.0");
	assert_true(w->offers[2].id > id);
	say_node(w, 0, 0, NODE_UP); /* queue starts again: it is still node 5 */
	id = send_one(w, client);
	assert_int_equal(id_node(id), 5);
	say_node(w, 5, 0, NODE_AWAY);
	talk(w, client, "MAIL FROM:<alice@example.org>", "451 4.3.0 The database cannot be reached, try again later\r\n");
	talk(w, client, "RCPT TO:<bob@example.net>", "503 5.5.1");
	say_node(w, 5, 0, NODE_UP);
	talk(w, client, "MAIL FROM:<alice@example.org>", "250 2.1.0");
	say_node(w, 5, 0, NODE_DRAINING);
	talk(w, client, "RSET", "250");
	talk(w, client, "MAIL FROM:<alice@example.org>", "421 4.3.2 This node is being drained, ");
	expect_end(w, client);
	assert_int_equal(w->offers_n, 4);
}

/* No such node, no such state: queue has broken the rules, and loses its channel. */
static void test_no_such_node(void **state)
{
	struct world *w = *state;
	struct msg_node_is wrong[] = { { .number = 16 }, { .number = 1, .state = NODE_AWAY + 1 } };
	struct end *client;

	start(w);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		assert_true(ipc_send_node_is(w->role.peers[ROLE_QUEUE], &wrong[i], -1));
		for (unsigned k = 0; k < 500 && w->role.peers[ROLE_QUEUE]; k++)
			run_for(w->role.loop, 10);
		assert_null(w->role.peers[ROLE_QUEUE]);
		played_connect(&w->role, ROLE_QUEUE, &queue_handlers);
	}
	client = open_login(w);
	assert_int_equal(id_node(send_one(w, client)), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SUBMISSION_TEST(test_queue_dies),
		SUBMISSION_TEST(test_queue_stays_away),
		SUBMISSION_TEST(test_queue_is_silent),
		SUBMISSION_TEST(test_queue_refuses),
		SUBMISSION_TEST(test_login_dies),
		SUBMISSION_TEST(test_client_leaves),
		SUBMISSION_TEST(test_client_breaks_off),
		SUBMISSION_TEST(test_login_of_a_host_is_locked),
		SUBMISSION_TEST(test_node),
		SUBMISSION_TEST(test_no_such_node),
	};

	program = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests_name("submission trouble", tests, NULL, NULL);
}
