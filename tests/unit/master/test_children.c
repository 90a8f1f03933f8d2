/* test_children.c - how master starts, wires, restarts and stops the roles. Their processes do nothing; their ends of the channels are the
 * test's. */
#include "unit.h"

#include "master.h"
#include "posthouse/clock.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_MS 30000
#define WORKERS     2
#define TOLD_MAX    256

enum what { SPAWNED, CONNECT, LISTENER, STOP };

/* What master has done, in order: a process of a role started; a role told about a peer, a socket, the end. */
struct told {
	enum what what;
	enum role_id role;
	unsigned index;
	enum role_id peer;
	unsigned peer_index;
};

static struct world {
	struct master master;
	struct config config;
	struct cfg_upstream upstream; /* that needs tokens, and so the role fetch */
	struct told told[TOLD_MAX];
	size_t n;
	bool no_program; /* the next start fails */
} world;

static void tell(enum what what, const struct child *c, enum role_id peer, unsigned peer_index)
{
	assert_true(world.n < TOLD_MAX);
	world.told[world.n++] = (struct told){ what, c->role, c->index, peer, peer_index };
}

static size_t count(enum what what, enum role_id role)
{
	size_t n = 0;

	for (size_t i = 0; i < world.n; i++)
		n += world.told[i].what == what && world.told[i].role == role;
	return n;
}

/* ---- a role's end of its channel: it can use every configuration ---- */
static void handle_configure(void *ctx, struct channel *ch, const struct msg_configure *m, int fd)
{
	close(fd);
	ipc_send_configured(ch, &(struct msg_configured){ .call = m->call, .generation = m->generation, .verdict = ok() }, -1);
}

static void handle_apply(void *ctx, struct channel *ch, const struct msg_apply *m, int fd)
{
	ipc_send_ready(ch, &(struct msg_ready){ .generation = m->generation }, -1);
}

static void handle_connect(void *ctx, struct channel *ch, const struct msg_connect *m, int fd)
{
	close(fd);
	tell(CONNECT, ctx, (enum role_id)m->role, (unsigned)m->index);
}

static void handle_listener(void *ctx, struct channel *ch, const struct msg_listener *m, int fd)
{
	close(fd);
	tell(LISTENER, ctx, ROLE_MASTER, 0);
}

static void handle_stop(void *ctx, struct channel *ch, const struct msg_stop *m, int fd)
{
	tell(STOP, ctx, ROLE_MASTER, 0);
}

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	channel_free(ch);
}

/* In place of spawn.c: a process that only waits to be killed. */
int child_spawn(struct child *c, int channel_fd, int log_fd, uv_exit_cb on_exit)
{
	static const struct ipc_handlers handlers = { .configure = handle_configure,
						      .apply = handle_apply,
						      .connect = handle_connect,
						      .listener = handle_listener,
						      .stop = handle_stop };
	struct channel_config config = { .self = c->role,
					 .self_index = c->index,
					 .peer = ROLE_MASTER,
					 .incarnation = c->incarnation,
					 .handlers = &handlers,
					 .on_closed = on_closed,
					 .ctx = c };
	char *arguments[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "600", NULL };
	uv_process_options_t options = { .file = world.no_program ? "/no/such/program" : "sleep",
					 .args = arguments,
					 .exit_cb = on_exit };
	int error;

	c->process.data = c;
	error = uv_spawn(c->master->loop, &c->process, &options);
	if (error == 0) {
		tell(SPAWNED, c, ROLE_MASTER, 0);
		channel_new(c->master->loop, fcntl(channel_fd, F_DUPFD_CLOEXEC, 3), &config);
	}
	return error;
}

/* ---- running ---- */
static void on_limit(uv_timer_t *t)
{
	fail_msg("master does not get there");
}

static void run_until(bool (*reached)(const struct master *m))
{
	uv_timer_t limit;

	uv_timer_init(world.master.loop, &limit);
	uv_timer_start(&limit, on_limit, PATIENCE_MS, 0);
	while (!reached(&world.master))
		uv_run(world.master.loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&limit, NULL);
	for (int i = 0; i < 10; i++)
		uv_run(world.master.loop, UV_RUN_NOWAIT);
}

static bool are_ready(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state != CHILD_READY && child_is_needed(&m->children[i]))
			return false;
	return m->all_ready;
}

static bool have_ended(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].process_open)
			return false;
	return true;
}

static struct child *find(enum role_id role)
{
	return child_find(&world.master, role, 0);
}

static void end_process(struct child *c)
{
	assert_int_equal(uv_process_kill(&c->process, SIGKILL), 0);
	while (c->process_open)
		uv_run(world.master.loop, UV_RUN_ONCE);
	for (int i = 0; i < 10; i++)
		uv_run(world.master.loop, UV_RUN_NOWAIT);
}

/* All roles, with their first configuration. */
static int setup_with(size_t upstreams)
{
	static uv_loop_t loop;
	struct master *m = &world.master;

	world = (struct world){
		.config = { .shutdown_grace_ms = 600000, .doctor.daily = true, .local.drop = S("."), .metrics = S("*:9587") },
		.upstream = { .oauth.provider = OAUTH_CUSTOM }
	};
	world.config.upstreams = &world.upstream;
	world.config.upstreams_n = upstreams;
	uv_loop_init(&loop);
	*m = (struct master){ .loop = &loop, .config = &world.config, .generation = 1, .offers = 1, .workers = WORKERS };
	m->control.fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	m->control.dir_fd = open("/", O_PATH | O_CLOEXEC);
	m->control.name = strdup("no-such-socket");
	m->local = (struct unix_socket){ .fd = -1, .dir_fd = -1 };
	m->metrics_fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	m->metrics_n = 1;
	m->lock_fd = -1;
	uv_timer_init(&loop, &m->stop_timer);
	m->stop_timer.data = m;
	children_init(m);
	run_until(are_ready);
	return 0;
}

static int setup(void **state)
{
	return setup_with(1);
}

static int setup_without_need(void **state)
{
	return setup_with(0);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static int teardown(void **state)
{
	struct master *m = &world.master;

	master_stop(m, 0);
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].process_open)
			uv_process_kill(&m->children[i].process, SIGKILL);
	run_until(have_ended);
	uv_walk(m->loop, close_handle, NULL);
	uv_run(m->loop, UV_RUN_DEFAULT);
	return uv_loop_close(m->loop);
}

/* ---- tests ---- */
static void test_roles_start_in_their_order(void **state)
{
	unsigned place = 0;

	for (size_t i = 0; i < world.n; i++)
		if (world.told[i].what == SPAWNED) {
			assert_true(role_facts[world.told[i].role].start >= place);
			place = role_facts[world.told[i].role].start;
		}
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		assert_int_equal(count(SPAWNED, (enum role_id)r), !(B_ROLES & 1u << r) ? 0 : r == ROLE_SUBMISSION ? WORKERS : 1);
}

/* Each two of which one calls the other, once; no others. */
static void test_who_is_wired_to_whom(void **state)
{
	const struct master *m = &world.master;

	for (size_t a = 0; a < m->children_n; a++)
		for (size_t b = 0; b < m->children_n; b++) {
			const struct child *one = &m->children[a], *other = &m->children[b];
			size_t n = 0;

			for (size_t i = 0; i < world.n; i++)
				n += world.told[i].what == CONNECT && world.told[i].role == one->role &&
				     world.told[i].index == one->index && world.told[i].peer == other->role &&
				     world.told[i].peer_index == other->index;
			assert_int_equal(n, a != b && roles_are_peers(one->role, other->role));
		}
}

/* The first client must meet a complete relay. */
static void test_sockets_come_last(void **state)
{
	bool seen = false;

	assert_int_equal(count(LISTENER, ROLE_CONSOLE), 1);
	assert_int_equal(count(LISTENER, ROLE_WEB), 1);
	for (size_t i = 0; i < world.n; i++) {
		seen |= world.told[i].what == LISTENER;
		assert_false(seen && world.told[i].role == ROLE_CONSOLE && world.told[i].what == CONNECT);
	}
}

/* A role that comes back is wired to its peers; the others keep what they have. */
static void test_a_restart(void **state)
{
	size_t before = world.n, wired = 0;

	end_process(find(ROLE_VAULT));
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_VAULT), 2);
	for (size_t i = before; i < world.n; i++) {
		assert_true(world.told[i].role == ROLE_VAULT || world.told[i].peer == ROLE_VAULT);
		wired += world.told[i].what == CONNECT && world.told[i].role != ROLE_VAULT;
	}
	assert_int_equal(wired, WORKERS + 5); /* submission, queue, relay, console, fetch, web */
}

static void test_queue_and_relay_live_and_die_together(void **state)
{
	end_process(find(ROLE_QUEUE));
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_QUEUE), 2);
	assert_int_equal(count(SPAWNED, ROLE_RELAY), 2);
	end_process(find(ROLE_RELAY)); /* queue lives on without it */
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_QUEUE), 2);
	assert_int_equal(count(SPAWNED, ROLE_RELAY), 3);
}

/* The pause before a start doubles with each one that fails, up to 30 s; a long life begins it again. */
static void test_the_pause_before_a_start(void **state)
{
	struct child *c = find(ROLE_VAULT);
	uv_timer_cb begin = NULL;
	uint64_t pause = 100;

	end_process(c);
	begin = c->back_off.timer_cb;
	uv_timer_stop(&c->back_off);
	world.no_program = true;
	c->failures = 0;
	for (int i = 0; i < 14; i++) {
		begin(&c->back_off);
		assert_int_equal(uv_timer_get_due_in(&c->back_off), pause);
		uv_timer_stop(&c->back_off);
		uv_run(world.master.loop, UV_RUN_NOWAIT); /* the process that did not start is closed */
		pause = pause * 2 > 30000 ? 30000 : pause * 2;
	}
	world.no_program = false;
	begin(&c->back_off);
	run_until(are_ready);
	assert_int_equal(c->failures, 14);
	c->started_mono = clock_mono_ms() - 61000;
	end_process(c);
	assert_int_equal(c->failures, 1);
}

/* Who takes mail, then who sends it, then who keeps it: each rank waits for the one before. */
static void test_the_order_of_stopping(void **state)
{
	struct master *m = &world.master;

	master_stop(m, 75);
	for (unsigned rank = 0; rank < 3; rank++) {
		for (int i = 0; i < 10; i++)
			uv_run(m->loop, UV_RUN_NOWAIT);
		for (size_t i = 0; i < m->children_n; i++) {
			const struct child *c = &m->children[i];
			size_t told = c->role == ROLE_SUBMISSION ? WORKERS : 1;

			assert_int_equal(count(STOP, c->role), role_facts[c->role].stop <= rank ? told : 0);
		}
		for (size_t i = 0; i < m->children_n; i++)
			if (role_facts[m->children[i].role].stop == rank)
				end_process(&m->children[i]);
	}
	assert_true(have_ended(m));
	assert_int_equal(m->exit_code, 75);
	for (unsigned r = 0; r < ROLE_COUNT; r++)
		assert_true(count(SPAWNED, (enum role_id)r) <= (r == ROLE_SUBMISSION ? WORKERS : 1)); /* none comes back */
}

/* A role's word must not end other roles: who names a peer that it cannot have is ended itself. */
static void test_a_role_that_names_a_peer_that_it_cannot_have(void **state)
{
	struct child *vault = find(ROLE_VAULT);

	child_lost_peer(vault, &(struct msg_peer_lost){ .role = ROLE_LOGIN, .incarnation = find(ROLE_LOGIN)->incarnation });
	assert_int_equal(vault->state, CHILD_STOPPING);
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_VAULT), 2);
	assert_int_equal(count(SPAWNED, ROLE_LOGIN), 1);
}

/* Reloads that begin to need fetch, and that need it no more. */
static void test_a_role_that_is_started_when_needed(void **state)
{
	struct master *m = &world.master;
	struct child *fetch = find(ROLE_FETCH);

	assert_int_equal(count(SPAWNED, ROLE_FETCH), 0);
	assert_int_equal(count(CONNECT, ROLE_FETCH), 0);
	world.upstream.oauth.grant = GRANT_COMMAND; /* no request is made for it */
	m->config->upstreams_n = 1;
	children_follow_config(m);
	assert_false(fetch->process_open);
	world.upstream.oauth.grant = GRANT_REFRESH_TOKEN;
	children_follow_config(m);
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 1);
	assert_int_equal(count(CONNECT, ROLE_FETCH), 3); /* vault, console, web */
	children_follow_config(m);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 1);
	end_process(fetch); /* as every role it comes back */
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 2);
	m->config->upstreams_n = 0;
	children_follow_config(m);
	for (int i = 0; i < 10; i++)
		uv_run(m->loop, UV_RUN_NOWAIT);
	assert_int_equal(count(STOP, ROLE_FETCH), 1);
	end_process(fetch);
	assert_int_equal(fetch->failures, 0);
	m->config->upstreams_n = 1;
	children_follow_config(m);
	run_until(are_ready);
	assert_int_equal(count(SPAWNED, ROLE_FETCH), 3);
	assert_int_equal(world.master.exit_code, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_roles_start_in_their_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who_is_wired_to_whom, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sockets_come_last, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue_and_relay_live_and_die_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_pause_before_a_start, setup, teardown),
		cmocka_unit_test_setup_teardown(test_the_order_of_stopping, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_role_that_names_a_peer_that_it_cannot_have, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_role_that_is_started_when_needed, setup_without_need, teardown),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
