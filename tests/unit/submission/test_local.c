/* test_local.c - users of this machine: the socket where nobody logs in, and what pickup hands over for a user. */
#include "harness.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un address;
static socklen_t length;

/* A socket without a name in the file system, which the kernel chooses. */
static void open_local(struct world *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(sa_family_t)), 0);
	length = sizeof(address);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(listen(fd, 8), 0);
	ipc_send_listener(w->role.master, &(struct msg_listener){ .listen = LISTEN_LOCAL }, fd);
	close(fd);
}

static struct end *take_client(struct world *w, int fd)
{
	struct end *client = &w->clients[w->clients_n++];

	assert_true(w->clients_n <= CLIENTS_MAX);
	end_init(client);
	client->st = stream_accept(w->role.loop, fd, &end_ops, client);
	return client;
}

static struct end *open_user(struct world *w)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, length), 0);
	return take_client(w, fd);
}

static void test_a_user_is_logged_in_already(void **state)
{
	struct world *w = *state;
	struct end *client;
	struct str words;

	start(w);
	open_local(w);
	client = open_user(w);
	expect_reply(w, client, "220 relay.example.org");
	say(client, "EHLO x\r\n");
	words = hear(w, client);
	assert_false(holds(words, "AUTH") || holds(words, "STARTTLS"));
	talk(w, client, "MAIL FROM:<daemon>", "250 2.1.0");
	talk(w, client, "RCPT TO:<games>", "250 2.1.5");
	talk(w, client, "RCPT TO:<bob>", "250 2.1.5");
	talk(w, client, "DATA", "354");
	say(client, "Subject: x\r\n\r\nhello\r\n.\r\n");
	expect_reply(w, client, "250 2.0.0");
	assert_true(str_eq(w->offers[0].login, S("alice@example.org")) && str_eq(w->offers[0].sender, S("alice@example.org")));
	assert_true(str_eq(w->offers[0].recipients, S("postmaster@example.org bob@example.org ")));
	assert_true(holds(w->offers[0].received, " with ESMTP id"));
	assert_int_equal(w->admissions, 0); /* it has no address that could be banned … */
	assert_int_equal(w->presents, 1);   /* … but it counts */
	assert_true(str_eq(w->last_login, S("alice@example.org")));
	assert_int_equal(w->passed_family, AF_UNIX); /* login can ask the kernel */
	assert_true(str_eq(w->pass, S("")));
}

static void test_who_is_refused(void **state)
{
	struct world *w = *state;
	struct end *client;

	start(w);
	open_local(w);
	w->local_user = perm(554, S("5.7.1"), S("This login is locked"));
	client = open_user(w);
	expect_reply(w, client, "554 5.7.1 This login is locked");
	expect_end(w, client);
	w->local_user = temp(450, S("4.3.0"), S("not now"));
	client = open_user(w);
	expect_reply(w, client, "421 4.3.0 not now");
	expect_end(w, client);
	w->local_user = ok();
	w->authorization = temp(421, S("4.7.0"), S("too many connections"));
	client = open_user(w);
	expect_reply(w, client, "421 4.7.0 too many");
	expect_end(w, client);
	played_disconnect(&w->role, ROLE_LOGIN);
	client = open_user(w);
	expect_reply(w, client, "421 4.3.0");
}

/* The id and the token are those of the file: a file that comes twice is one message. */
static void test_pickup_brings_a_user(void **state)
{
	static const struct ipc_handlers none;
	struct world *w = *state;
	struct msg_local_client m = { .pass = S("a pass"), .id = 12345, .token = 678 };
	struct end *client;
	int ends[2];

	start(w);
	played_connect(&w->role, ROLE_PICKUP, &none);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	ipc_send_local_client(w->role.peers[ROLE_PICKUP], &m, ends[1]);
	close(ends[1]);
	client = take_client(w, ends[0]);
	expect_reply(w, client, "220 relay.example.org");
	assert_true(str_eq(w->pass, S("a pass")));
	talk(w, client, "EHLO x", "250");
	for (int i = 0; i < 2; i++) {
		talk(w, client, i ? "MAIL FROM:<7>" : "MAIL FROM:<*>", "250 2.1.0");
		talk(w, client, "RCPT TO:<bob@example.net>", "250 2.1.5");
		talk(w, client, "DATA", "354");
		say(client, "Subject: x\r\n\r\nhello\r\n.\r\n");
		expect_reply(w, client, "250 2.0.0");
	}
	assert_true(w->offers[0].id == 12345 && w->offers[0].token == 678);
	assert_true(w->offers[1].id != 12345);
	assert_true(str_eq(w->offers[0].sender, S("alice@example.org")));
}

/* A report has no sender, and one author, whom no rule gives another address. */
static void test_a_report(void **state)
{
	struct world *w = *state;
	struct end *client;

	w->report = true;
	start(w);
	open_local(w);
	client = open_user(w);
	expect_reply(w, client, "220 relay.example.org");
	talk(w, client, "EHLO x", "250");
	talk(w, client, "MAIL FROM:<*>", "550 5.7.1");
	for (int i = 0; i < 2; i++) {
		talk(w, client, "MAIL FROM:<>", "250 2.1.0");
		talk(w, client, "RCPT TO:<bob@example.net>", "250 2.1.5");
		talk(w, client, "DATA", "354");
		say(client, i ? "From: mailer-daemon@example.org\r\n\r\nhello\r\n.\r\n"
			      : "From: alice@example.org\r\n\r\nhello\r\n.\r\n");
		expect_reply(w, client, i ? "250 2.0.0" : "550 5.7.1 From: <alice@example.org>");
	}
	assert_true(str_eq(w->offers[0].sender, S("")));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		SUBMISSION_TEST(test_a_user_is_logged_in_already),
		SUBMISSION_TEST(test_who_is_refused),
		SUBMISSION_TEST(test_pickup_brings_a_user),
		SUBMISSION_TEST(test_a_report),
	};

	program = argc > 1 ? argv[1] : NULL;
	return cmocka_run_group_tests_name("submission local", tests, NULL, NULL);
}
