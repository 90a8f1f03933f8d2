/* test_command.c - the commands that print tokens: real processes, asked for by a played vault. */
#include "loop.h"

#include "command.h"
#include "posthouse/log.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 30000

static struct world {
	struct master master;
	struct config config;
	struct cfg_upstream upstreams[2];
	uv_loop_t loop;
	struct channel *asker, *asked; /* vault's end and master's; NULL: closed */
	unsigned answers;
	struct verdict verdict;
	char text[512], output[1024];
	size_t output_n;
} world;

/* Needed by children.c; no role is started here. */
int child_spawn(struct child *c, int channel_fd, int log_fd, uv_exit_cb on_exit)
{
	return UV_ENOSYS;
}

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	commands_end(&world.master, ch);
	if (world.asker == ch)
		world.asker = NULL;
	if (world.asked == ch)
		world.asked = NULL;
	channel_free(ch);
}

static void on_output(void *ctx, struct verdict v, const struct msg_command_output *m, int fd)
{
	struct world *w = &world;

	w->answers++;
	w->verdict = m ? m->verdict : v;
	snprintf(w->text, sizeof w->text, "%.*s", STR_ARG(w->verdict.text));
	w->output_n = m ? m->output.n : 0;
	snprintf(w->output, sizeof w->output, "%.*s", m ? (int)m->output.n : 0, m ? m->output.p : "");
}

static void run_while(bool (*waits)(const struct world *w))
{
	RUN_UNTIL(&world.loop, !waits(&world));
	uv_run(&world.loop, UV_RUN_NOWAIT);
}

static bool has_no_answer(const struct world *w)
{
	return w->answers == 0;
}

static bool has_commands(const struct world *w)
{
	return !list_empty(&w->master.commands);
}

/* ---- asking ---- */
static void ask_for(struct str upstream)
{
	ipc_call_command_run(world.asker, &(struct msg_command_run){ .upstream = upstream }, -1, on_output, NULL);
}

static void set_command(size_t i, struct str_list words)
{
	world.upstreams[i].oauth.command = words;
}

/* Run it by a shell, and wait for the answer. */
static void run(const char *script)
{
	struct str words[] = { S("sh"), S("-c"), str_of(script), S("name"), S("two words") };

	set_command(0, (struct str_list){ words, 5 });
	world.answers = 0;
	ask_for(S("one"));
	run_while(has_no_answer);
}

static void assert_token(const char *script, const char *token)
{
	run(script);
	if (world.verdict.class != OK)
		fail_msg("%s: %s", script, world.text);
	assert_string_equal(world.output, token);
}

static void assert_refused(const char *text)
{
	assert_int_equal(world.verdict.class, TEMP);
	assert_string_equal(world.text, text);
	assert_int_equal(world.output_n, 0);
}

/* Begin a command that waits until it is ended; it has said that it runs when this returns. */
static struct command *begin_waiting(char mark[32])
{
	static struct str words[] = { S("sh"), S("-c"), S("echo > \"$0\"; sleep 600 & sleep 600; echo token"), S("") };

	strcpy(mark, "/tmp/posthouse-command-XXXXXX");
	close(mkstemp(mark));
	unlink(mark);
	words[3] = str_of(mark);
	set_command(0, (struct str_list){ words, 4 });
	world.answers = 0;
	ask_for(S("one"));
	for (int i = 0; i < PATIENCE_MS / 10 && access(mark, F_OK) != 0; i++) {
		uv_run(&world.loop, UV_RUN_NOWAIT);
		usleep(10000);
	}
	assert_int_equal(unlink(mark), 0);
	return CONTAINER_OF(list_first(&world.master.commands), struct command, in_master);
}

/* ---- the world ---- */
static int setup(void **state)
{
	static const struct ipc_handlers none;
	struct world *w = &world;
	struct channel_config vault = { .self = ROLE_VAULT,
					.peer = ROLE_MASTER,
					.incarnation = 2,
					.handlers = &none,
					.on_closed = on_closed,
					.ctx = &w->master };
	struct channel_config master = { .self = ROLE_MASTER,
					 .peer = ROLE_VAULT,
					 .incarnation = 1,
					 .handlers = &master_handlers,
					 .on_closed = on_closed,
					 .ctx = &w->master };
	int ends[2];

	*w = (struct world){ 0 };
	uv_loop_init(&w->loop);
	w->upstreams[0].name = S("one");
	w->upstreams[1].name = S("two");
	w->config.upstreams = w->upstreams;
	w->config.upstreams_n = 2;
	w->master.loop = &w->loop;
	w->master.config = &w->config;
	list_init(&w->master.commands);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
	w->asker = channel_new(&w->loop, ends[0], &vault);
	w->asked = channel_new(&w->loop, ends[1], &master);
	return 0;
}

/* Log pipes are not waited for in the product. They end when all processes have ended that hold them. */
static void wait_for(uv_handle_t *h, void *arg)
{
	if (h->type == UV_NAMED_PIPE)
		uv_ref(h);
}

static int teardown(void **state)
{
	struct world *w = &world;

	run_while(has_commands);
	if (w->asker)
		channel_close(w->asker, "end");
	if (w->asked)
		channel_close(w->asked, "end");
	uv_walk(&w->loop, wait_for, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	return uv_loop_close(&w->loop);
}

/* ---- tests ---- */
static void test_tokens(void **state)
{
	assert_token("echo token", "token");
	assert_token("printf 'ya29.A-b_c~/+=\\r\\nsecond line\\n'", "ya29.A-b_c~/+=");
	assert_token("printf token", "token");
	assert_token("printf '%s' \"$1\"", "two words");
	assert_token("cat; echo token", "token"); /* its input is empty */
	assert_token("echo warning >&2; echo token", "token");
	assert_token("(sleep 600; echo late) & echo token", "token"); /* nobody waits for what it leaves behind */
	assert_token("head -c 60000 /dev/zero | tr '\\0' x; echo; echo more", world.output);
	assert_int_equal(world.output_n, 60000);
}

static void test_environment(void **state)
{
	setenv("SECRET_OF_THE_SHELL", "x", 1);
	assert_token("echo \"$HOME $SECRET_OF_THE_SHELL.\"", "/ .");
	unsetenv("SECRET_OF_THE_SHELL");
	assert_token("ls -l /proc/self/fd | grep -c 'socket:\\|eventpoll'; true", "0"); /* of master's descriptors none */
}

static void test_failures(void **state)
{
	struct str none[] = { S("/no/such/program") };

	run("echo token; exit 3");
	assert_refused("the command sh has ended with exit code 3");
	run("true");
	assert_refused("the command sh has printed nothing");
	run("echo; echo token");
	assert_refused("the command sh has printed nothing");
	run("echo token; kill -TERM $$");
	assert_refused("the command sh was ended by signal 15");
	run("while :; do echo token; done");
	assert_refused("the command sh has printed more than 64 KiB");
	set_command(0, (struct str_list){ none, 1 });
	world.answers = 0;
	ask_for(S("one"));
	run_while(has_no_answer);
	assert_refused("the command /no/such/program cannot be started: no such file or directory");
	world.answers = 0;
	ask_for(S("two"));
	run_while(has_no_answer);
	assert_refused("the upstream has no command in the configuration");
	world.answers = 0;
	ask_for(S("three"));
	run_while(has_no_answer);
	assert_refused("the upstream has no command in the configuration");
}

static void test_time(void **state)
{
	char mark[32];
	struct command *c = begin_waiting(mark);
	pid_t pid = c->process.pid;

	assert_true(commands_have(&world.master, pid));
	assert_in_range(uv_timer_get_due_in(&c->limit), 1, COMMAND_MS);
	c->limit.timer_cb(&c->limit);
	run_while(has_no_answer);
	assert_refused("the command sh has not ended within 60 s");
	assert_false(commands_have(&world.master, pid));
	for (int i = 0; i < PATIENCE_MS / 10 && kill(-pid, 0) == 0; i++) /* its group, until init has reaped it */
		usleep(10000);
	assert_int_equal(kill(-pid, 0), -1);
}

static void test_one_at_a_time_for_each_upstream(void **state)
{
	struct str words[] = { S("echo"), S("other") };
	char mark[32];
	struct command *c = begin_waiting(mark);

	ask_for(S("one"));
	run_while(has_no_answer);
	assert_refused("the upstream's command runs already");
	set_command(1, (struct str_list){ words, 2 });
	world.answers = 0;
	ask_for(S("two"));
	run_while(has_no_answer);
	assert_string_equal(world.output, "other");
	world.answers = 0;
	kill(-c->process.pid, SIGKILL);
	run_while(has_no_answer);
	assert_refused("the command sh was ended by signal 9");
	assert_token("echo token", "token");
}

static void test_the_asker_is_gone(void **state)
{
	char mark[32];

	begin_waiting(mark);
	channel_close(world.asked, "vault has died");
	run_while(has_commands);
	run_while(has_no_answer);           /* the other end hears of it a little later */
	assert_int_equal(world.answers, 1); /* of the channel */
	assert_null(world.asked);
}

static void test_master_stops(void **state)
{
	char mark[32];

	begin_waiting(mark);
	commands_end(&world.master, NULL);
	run_while(has_no_answer);
	assert_refused("the command sh was ended, because the relay stops");
	world.master.stopping = true;
	world.answers = 0;
	ask_for(S("one"));
	run_while(has_no_answer);
	assert_refused("the relay is being stopped");
}

/* The user of the roles, without further groups. */
static void test_user(void **state)
{
	if (geteuid() != 0)
		skip();
	world.master.users.drop = true;
	world.master.users.of[AS_RUN_AS].uid = 12345;
	world.master.users.of[AS_RUN_AS].gid = 23456;
	assert_token("grep -h '^[UG]id\\|^Groups' /proc/self/status | tr -s '\\t\\n ' ' '",
		     "Uid: 12345 12345 12345 12345 Gid: 23456 23456 23456 23456 Groups:");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_tokens, setup, teardown),
		cmocka_unit_test_setup_teardown(test_environment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
		cmocka_unit_test_setup_teardown(test_time, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_at_a_time_for_each_upstream, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_asker_is_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_master_stops, setup, teardown),
		cmocka_unit_test_setup_teardown(test_user, setup, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
