/* test_frame.c - what all roles have in common, with master and a console played here and a small role in a process of its own: this
 * program again, which is that role when it gets a role's arguments. */
#include "loop.h"

#include "posthouse/role.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define LONG_LIST       3000
#define PROCESS_FIGURES 10 /* memory and others, and the walls, which the frame adds */

/* ---- the role: it refuses one host name, counts what is asked of it, and tells the counts as figures ---- */
static struct {
	uint64_t started, applied, abandoned, peers_up, peers_down;
} counts;

/* cmocka's asserts have no meaning in the role's process. */
static void check(bool holds)
{
	if (!holds)
		abort();
}

static struct verdict on_start(struct role *r)
{
	counts.started++;
	role_set_data(r, &counts);
	return str_eq(role_config(r)->hostname, S("broken.example")) ? perm(0, S(""), S("it cannot start")) : ok();
}

static struct verdict on_configure(struct role *r, const struct config *c)
{
	if (str_eq(c->hostname, S("over.example")))
		role_set_data(r, NULL);
	return str_eq(c->hostname, S("refused.example")) ? perm(0, S(""), S("not this one")) : ok();
}

static void on_apply(struct role *r)
{
	counts.applied++;
}

static void on_abandon(struct role *r)
{
	counts.abandoned++;
}

static void on_peer_up(struct role *r, struct channel *ch)
{
	check(role_peer(r, channel_peer(ch), channel_peer_index(ch)) == ch);
	counts.peers_up++;
}

static void on_peer_down(struct role *r, struct channel *ch)
{
	counts.peers_down++;
}

/* Any of the role's rows that has no label of its own: the label is the name here. */
static void tell(struct role *r, const char *name, uint64_t value, struct str text)
{
	role_stat_of(r, METRIC_VAULT_KEYS, str_of(name), value, text);
}

static void on_stats(struct role *r)
{
	check(role_data(r) == &counts);
	tell(r, "started", counts.started, S(""));
	tell(r, "applied", counts.applied, role_config(r)->hostname);
	tell(r, "abandoned", counts.abandoned, S(""));
	tell(r, "peers_up", counts.peers_up, S(""));
	tell(r, "peers_down", counts.peers_down, S(""));
	tell(r, "no_new_privileges", (uint64_t)prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), S(""));
	tell(r, "index", role_index(r), S(""));
	tell(r, "incarnation", role_incarnation(r), S(""));
	for (uint64_t i = 0; i < LONG_LIST && str_eq(role_config(r)->hostname, S("long.example")); i++)
		tell(r, "more", i, S("a text that makes the row longer than most rows are"));
}

static const struct role_ops vault_ops = {
	.id = ROLE_VAULT,
	.start = on_start,
	.configure = on_configure,
	.apply = on_apply,
	.abandon = on_abandon,
	.peer_up = on_peer_up,
	.peer_down = on_peer_down,
	.stats = on_stats,
};

/* ---- master and console ---- */
struct world {
	unsigned peers_lost;
	uv_loop_t *loop;
	struct arena arena;
	struct channel *master, *console;
	pid_t pid;
	unsigned ready, pongs, stopped, closed, answered, told;
	uint64_t ready_generation;
	struct verdict answer;
	struct {
		struct str name, text;
		uint64_t value;
	} figures[20];
	size_t figures_n;
	struct rec_stat last; /* without its texts */
};

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct world *w = ctx;

	if (ch == w->master)
		w->master = NULL;
	if (ch == w->console)
		w->console = NULL;
	w->closed++;
	channel_free(ch);
}

static void handle_ready(void *ctx, struct channel *ch, const struct msg_ready *m, int fd)
{
	struct world *w = ctx;

	w->ready++;
	w->ready_generation = m->generation;
}

static void handle_stopped(void *ctx, struct channel *ch, const struct msg_stopped *m, int fd)
{
	((struct world *)ctx)->stopped++;
}

static void handle_peer_lost(void *ctx, struct channel *ch, const struct msg_peer_lost *m, int fd)
{
	((struct world *)ctx)->peers_lost++;
}

static const struct ipc_handlers handlers = { .ready = handle_ready, .stopped = handle_stopped, .peer_lost = handle_peer_lost };

static struct channel *play(struct world *w, enum role_id self, int fd)
{
	struct channel_config config = {
		.self = self, .peer = ROLE_VAULT, .incarnation = 1, .handlers = &handlers, .on_closed = on_closed, .ctx = w
	};

	return channel_new(w->loop, fd, &config);
}

static void run_until(struct world *w, const unsigned *counter, unsigned value)
{
	RUN_UNTIL(w->loop, *counter >= value);
}

static void on_configured(void *ctx, struct verdict v, const struct msg_configured *m, int fd)
{
	struct world *w = ctx;

	w->answer = verdict_keep(&w->arena, m ? m->verdict : v);
	w->answered++;
}

static void on_pong(void *ctx, struct verdict v, const struct msg_pong *m, int fd)
{
	assert_int_equal(v.class, OK);
	((struct world *)ctx)->pongs++;
}

static void on_figures(void *ctx, struct verdict v, const struct msg_stats_are *m, int fd)
{
	struct world *w = ctx;

	assert_non_null(m);
	w->figures_n = m->stats.n;
	for (size_t i = 0; i < m->stats.n && i < 20; i++) {
		w->figures[i].name = arena_str(&w->arena, m->stats.at[i].label);
		w->figures[i].text = arena_str(&w->arena, m->stats.at[i].text);
		w->figures[i].value = m->stats.at[i].value;
	}
	w->last = m->stats.at[m->stats.n - 1];
	w->told++;
}

/* Phase 1 with these bytes as the slice. */
static struct verdict offer_bytes(struct world *w, uint64_t generation, struct str bytes)
{
	unsigned answered = w->answered;
	int fd = memfd_create("slice", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes.p, bytes.n), bytes.n);
	ipc_call_configure(w->master, &(struct msg_configure){ .generation = generation }, fd, on_configured, w);
	close(fd);
	run_until(w, &w->answered, answered + 1);
	return w->answer;
}

static struct verdict offer(struct world *w, uint64_t generation, const char *hostname)
{
	struct config c = { .hostname = str_of(hostname) };
	struct buf slice;
	struct verdict v;

	buf_init(&slice, 1 << 20);
	assert_true(config_slice_encode(&c, ROLE_VAULT, &slice));
	v = offer_bytes(w, generation, buf_view(&slice));
	buf_fini(&slice);
	return v;
}

static void apply(struct world *w, uint64_t generation)
{
	unsigned ready = w->ready;

	ipc_send_apply(w->master, &(struct msg_apply){ .generation = generation }, -1);
	run_until(w, &w->ready, ready + 1);
	assert_int_equal(w->ready_generation, generation);
}

static struct channel *connect_console(struct world *w, unsigned index)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	ipc_send_connect(w->master, &(struct msg_connect){ .role = ROLE_CONSOLE, .index = index, .incarnation = 1 }, pair[1]);
	close(pair[1]);
	return play(w, ROLE_CONSOLE, pair[0]);
}

static uint64_t figure(struct world *w, const char *name)
{
	unsigned told = w->told;

	ipc_call_stats(w->console, &(struct msg_stats){ 0 }, -1, on_figures, w);
	run_until(w, &w->told, told + 1);
	for (size_t i = 0; i < w->figures_n && i < 20; i++)
		if (str_eq(w->figures[i].name, str_of(name)))
			return w->figures[i].value;
	fail_msg("no figure %s", name);
	return 0;
}

static int exit_code(struct world *w)
{
	int status = -1;

	for (int i = 0; i < 3000 && waitpid(w->pid, &status, WNOHANG) == 0; i++) {
		uv_run(w->loop, UV_RUN_NOWAIT);
		usleep(10000);
	}
	w->pid = 0;
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int start(void **state)
{
	struct world *w = NEW(struct world);
	int pair[2];

	w->loop = uv_default_loop();
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	w->pid = fork();
	assert_true(w->pid >= 0);
	if (w->pid == 0) {
		if (pair[1] == 3 ? fcntl(3, F_SETFD, 0) != 0 : dup2(pair[1], 3) != 3)
			_exit(99);
		execl("/proc/self/exe", "test_frame", "--index", "1", "--incarnation", "7", (char *)NULL);
		_exit(98);
	}
	close(pair[1]);
	w->master = play(w, ROLE_MASTER, pair[0]);
	*state = w;
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		waitpid(w->pid, NULL, 0);
	}
	if (w->master)
		channel_close(w->master, "end");
	if (w->console)
		channel_close(w->console, "end");
	for (int i = 0; i < 20; i++)
		uv_run(w->loop, UV_RUN_NOWAIT);
	arena_fini(&w->arena);
	free(w);
	return 0;
}

/* ---- tests ---- */
static void test_a_life(void **state)
{
	struct world *w = *state;

	assert_int_equal(offer(w, 1, "one.example").class, OK);
	apply(w, 1);
	w->console = connect_console(w, 0);
	assert_int_equal(figure(w, "started"), 1);
	assert_int_equal(figure(w, "applied"), 1);
	assert_int_equal(figure(w, "peers_up"), 1);
	assert_int_equal(figure(w, "no_new_privileges"), 1);
	assert_int_equal(figure(w, "index"), 1);
	assert_int_equal(figure(w, "incarnation"), 7);
	ipc_call_ping(w->master, &(struct msg_ping){ 0 }, -1, on_pong, w);
	run_until(w, &w->pongs, 1);
	/* signals are master's: the role stays */
	kill(w->pid, SIGTERM);
	kill(w->pid, SIGHUP);
	kill(w->pid, SIGINT);
	ipc_call_ping(w->master, &(struct msg_ping){ 0 }, -1, on_pong, w);
	run_until(w, &w->pongs, 2);
	ipc_send_stop(w->master, &(struct msg_stop){ .grace_ms = 1000 }, -1);
	run_until(w, &w->stopped, 1);
	assert_int_equal(exit_code(w), 0);
}

/* Two phases: a refused or abandoned configuration leaves the old one in force. */
static void test_configurations(void **state)
{
	struct world *w = *state;

	assert_int_equal(offer(w, 1, "one.example").class, OK);
	apply(w, 1);
	w->console = connect_console(w, 0);
	assert_int_equal(offer(w, 2, "refused.example").class, PERM);
	assert_true(str_eq(w->answer.text, S("not this one")));
	assert_int_equal(offer(w, 3, "three.example").class, OK);
	ipc_send_abandon(w->master, &(struct msg_abandon){ .generation = 3 }, -1);
	assert_int_equal(figure(w, "abandoned"), 1);
	assert_int_equal(figure(w, "applied"), 1);
	assert_true(str_eq(w->figures[1].text, S("one.example")));
	assert_int_equal(offer(w, 4, "four.example").class, OK);
	apply(w, 4);
	assert_int_equal(figure(w, "started"), 1);
	assert_int_equal(figure(w, "applied"), 2);
	assert_true(str_eq(w->figures[1].text, S("four.example")));
}

/* What has no place in the answer is counted in it. */
static void test_a_list_that_is_too_long(void **state)
{
	struct world *w = *state;

	assert_int_equal(offer(w, 1, "long.example").class, OK);
	apply(w, 1);
	w->console = connect_console(w, 0);
	assert_int_equal(figure(w, "started"), 1);
	assert_in_range(w->figures_n, 1000, LONG_LIST);
	assert_int_equal(w->last.metric, METRIC_ROLE_OMITTED);
	assert_int_equal(w->last.value, 8 + LONG_LIST + PROCESS_FIGURES - (w->figures_n - 1));
	assert_int_equal(figure(w, "started"), 1);
}

static void test_damaged_slices(void **state)
{
	static const struct str bytes[] = { S("x"), S("\xff\xff\xff\xff\xff\xff\xff\xff"), S("hostname = \"x\";") };
	struct world *w = *state;

	assert_int_equal(offer_bytes(w, 1, S("")).class, PERM);
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		assert_int_equal(offer_bytes(w, i + 2, bytes[i]).class, PERM);
	assert_int_equal(offer_bytes(w, 8, S("x")).code, CONFIGURED_OTHER_BUILD); /* by which master knows an upgrade */
	assert_int_equal(offer(w, 9, "good.example").class, OK);
	apply(w, 9);
}

static void test_a_role_that_cannot_start_says_why(void **state)
{
	struct world *w = *state;

	assert_int_equal(offer(w, 1, "broken.example").class, PERM);
	assert_true(str_eq(w->answer.text, S("it cannot start")));
	assert_int_equal(w->ready, 0);
}

/* What breaks the rules costs the channel, and a role without master ends. */
static void test_apply_without_configure(void **state)
{
	struct world *w = *state;

	ipc_send_apply(w->master, &(struct msg_apply){ .generation = 1 }, -1);
	run_until(w, &w->closed, 1);
	assert_int_equal(exit_code(w), EX_TEMPFAIL);
}

static void test_connect_that_names_no_role(void **state)
{
	struct world *w = *state;
	int pair[2];

	assert_int_equal(offer(w, 1, "one.example").class, OK);
	apply(w, 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ipc_send_connect(w->master, &(struct msg_connect){ .role = ROLE_COUNT, .incarnation = 1 }, pair[1]);
	run_until(w, &w->closed, 1);
	assert_int_equal(exit_code(w), EX_TEMPFAIL);
	close(pair[0]);
	close(pair[1]);
}

static void test_an_orphan_ends(void **state)
{
	struct world *w = *state;

	assert_int_equal(offer(w, 1, "one.example").class, OK);
	apply(w, 1);
	channel_close(w->master, "as if dead");
	run_until(w, &w->closed, 1);
	assert_int_equal(exit_code(w), EX_TEMPFAIL);
}

static void on_refused(void *ctx, struct verdict v, const struct msg_stats_are *m, int fd)
{
	struct world *w = ctx;

	assert_int_equal(v.class, TEMP);
	assert_null(m);
	w->told++;
}

/* Before the start, and when the role has no state any more, a message of a peer costs the peer's channel, and the role goes on. */
static void test_messages_at_the_wrong_time(void **state)
{
	struct world *w = *state;

	w->console = connect_console(w, 0);
	ipc_call_stats(w->console, &(struct msg_stats){ 0 }, -1, on_refused, w);
	run_until(w, &w->told, 1);
	assert_int_equal(offer(w, 1, "one.example").class, OK);
	apply(w, 1);
	w->console = connect_console(w, 0);
	assert_int_equal(figure(w, "started"), 1);
	assert_int_equal(offer(w, 2, "over.example").class, OK);
	ipc_call_stats(w->console, &(struct msg_stats){ 0 }, -1, on_refused, w);
	run_until(w, &w->told, 3);
	ipc_call_ping(w->master, &(struct msg_ping){ 0 }, -1, on_pong, w);
	run_until(w, &w->pongs, 1);
}

/* A peer's new life replaces the old one. */
static void test_peers_come_and_go(void **state)
{
	struct world *w = *state;
	struct channel *first;

	assert_int_equal(offer(w, 1, "one.example").class, OK);
	apply(w, 1);
	first = w->console = connect_console(w, 0);
	assert_int_equal(figure(w, "peers_up"), 1);
	w->console = connect_console(w, 0);
	run_until(w, &w->closed, 1);
	assert_ptr_not_equal(w->console, first);
	assert_int_equal(figure(w, "peers_up"), 2);
	assert_int_equal(figure(w, "peers_down"), 1);
	channel_close(w->console, "dies");
	run_until(w, &w->closed, 2);
	w->console = connect_console(w, 0);
	assert_int_equal(figure(w, "peers_down"), 2);
	assert_int_equal(figure(w, "peers_up"), 3);
}

/* ---- loop.h ---- */

static void on_fired(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* A timer fires before the loop waits, and nothing else is to come. */
static void test_run_until_does_not_wait_for_ever(void **state)
{
	bool fired = false;
	uv_loop_t loop;
	uv_timer_t timer;
	uv_async_t silent;

	uv_loop_init(&loop);
	uv_async_init(&loop, &silent, NULL);
	uv_timer_init(&loop, &timer);
	timer.data = &fired;
	uv_timer_start(&timer, on_fired, 0, 0);
	RUN_UNTIL(&loop, fired);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_close((uv_handle_t *)&silent, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_life, start, end),
		cmocka_unit_test_setup_teardown(test_configurations, start, end),
		cmocka_unit_test_setup_teardown(test_a_list_that_is_too_long, start, end),
		cmocka_unit_test_setup_teardown(test_damaged_slices, start, end),
		cmocka_unit_test_setup_teardown(test_a_role_that_cannot_start_says_why, start, end),
		cmocka_unit_test_setup_teardown(test_apply_without_configure, start, end),
		cmocka_unit_test_setup_teardown(test_connect_that_names_no_role, start, end),
		cmocka_unit_test_setup_teardown(test_an_orphan_ends, start, end),
		cmocka_unit_test_setup_teardown(test_messages_at_the_wrong_time, start, end),
		cmocka_unit_test_setup_teardown(test_peers_come_and_go, start, end),
		cmocka_unit_test(test_run_until_does_not_wait_for_ever),
	};

	if (argc > 1)
		return role_main(argc, argv, &vault_ops);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
