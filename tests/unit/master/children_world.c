/* children_world.c - see children_world.h. */
#include "children_world.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

struct world world;

static void tell(enum what what, const struct child *c, enum role_id peer, unsigned peer_index)
{
	assert_true(world.n < TOLD_MAX);
	world.told[world.n++] = (struct told){ what, c->role, c->index, peer, peer_index };
}

size_t count(enum what what, enum role_id role)
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
void run_until(bool (*reached)(const struct master *m))
{
	RUN_UNTIL(world.master.loop, reached(&world.master));
	for (int i = 0; i < 10; i++)
		uv_run(world.master.loop, UV_RUN_NOWAIT);
}

bool are_ready(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state != CHILD_READY && child_is_needed(&m->children[i]))
			return false;
	return m->all_ready;
}

bool have_ended(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].process_open)
			return false;
	return true;
}

struct child *find(enum role_id role)
{
	return child_find(&world.master, role, 0);
}

void end_process(struct child *c)
{
	assert_int_equal(uv_process_kill(&c->process, SIGKILL), 0);
	RUN_UNTIL(world.master.loop, !c->process_open);
	for (int i = 0; i < 10; i++)
		uv_run(world.master.loop, UV_RUN_NOWAIT);
}

/* All roles, with their first configuration. */
static int setup_with(size_t upstreams)
{
	static uv_loop_t loop;
	struct master *m = &world.master;

	world = (struct world){ .config = { .shutdown_grace_ms = 600000,
					    .doctor.daily = true,
					    .delivery.uses_mta_sts = upstreams > 0,
					    .local.drop = S("."),
					    .metrics = S("*:9587") },
				.upstream = { .oauth.provider = OAUTH_CUSTOM } };
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

int setup(void **state)
{
	return setup_with(1);
}

int setup_without_need(void **state)
{
	return setup_with(0);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

int teardown(void **state)
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
