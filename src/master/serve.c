/* serve.c - `posthouse serve`: the order of a start and of a stop, and what console asks of master. */
#include "serve.h"

#include "command.h"
#include "master.h"
#include "posthouse/clock.h"
#include "posthouse/figures.h"
#include "posthouse/id.h"
#include "posthouse/log.h"
#include "posthouse/net.h"
#include "posthouse/sandbox.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define PING_MS          10000
#define KILL_EARLIEST_MS 1000
#define KILL_MARGIN_MS   2000 /* the most that is kept of the grace for what roles still write after their own grace */

/* ---- what roles tell and ask ---- */
static void handle_ready(void *ctx, struct channel *ch, const struct msg_ready *m, int fd)
{
	child_ready(child_of(ctx, ch));
}

static void handle_stopped(void *ctx, struct channel *ch, const struct msg_stopped *m, int fd)
{
	log_debug(NULL, "role.stopped", kv("stopped", role_name(channel_peer(ch))), kv("number", channel_peer_index(ch)));
}

static void handle_peer_lost(void *ctx, struct channel *ch, const struct msg_peer_lost *m, int fd)
{
	child_lost_peer(child_of(ctx, ch), m);
}

static void handle_outgrown(void *ctx, struct channel *ch, const struct msg_outgrown *m, int fd)
{
	child_renew(child_of(ctx, ch), m->reason);
}

static void handle_reload(void *ctx, struct channel *ch, const struct msg_reload *m, int fd)
{
	reload_begin(ctx, ch, m->call, "asked for");
}

static void handle_status(void *ctx, struct channel *ch, const struct msg_status *request, int fd)
{
	struct master *m = ctx;
	struct rec_role_state states[WORKERS_MAX + ROLE_COUNT];
	struct msg_status_is answer = { .call = request->call,
					.version = S(POSTHOUSE_VERSION),
					.started_at = m->started_at,
					.generation = m->generation,
					.roles = { states, 0 } };
	struct arena a = { 0 };

	for (size_t i = 0; i < m->children_n; i++) {
		const struct child *c = &m->children[i];

		if (child_is_needed(c))
			states[answer.roles.n++] = (struct rec_role_state){ c->role,
									    c->index,
									    (uint64_t)c->pid,
									    c->incarnation,
									    c->state == CHILD_READY,
									    c->started_at,
									    str_of(child_user(c)->name) };
	}
	answer.source = config_fingerprint(m->config, &a);
	ipc_send_status_is(ch, &answer, -1);
	arena_fini(&a);
}

static void handle_stats(void *ctx, struct channel *ch, const struct msg_stats *m, int fd)
{
	struct master *master = ctx;
	struct figures f = { 0 };

	for (unsigned role = 0; role < ROLE_COUNT; role++)
		if (role_facts[role].start > 0)
			figures_add(&f, METRIC_MASTER_DEATHS, str_of(role_name((enum role_id)role)), master->deaths[role], S(""));
	figures_process(&f, master->started_at);
	figures_send(&f, ch, m->call);
}

static void handle_user_of(void *ctx, struct channel *ch, const struct msg_user_of *m, int fd)
{
	user_ask(child_of(ctx, ch), m);
}

static void handle_command_run(void *ctx, struct channel *ch, const struct msg_command_run *m, int fd)
{
	command_run(ctx, ch, m);
}

/* The role still works on its first configuration: extend master's deadline and the service manager's. */
static void handle_working(void *ctx, struct channel *ch, const struct msg_working *msg, int fd)
{
	struct child *c = child_of(ctx, ch);

	if (!c || c->state != CHILD_CONFIGURED)
		return;
	ipc_extend(c->configuring);
	if (!c->master->all_ready)
		notify("EXTEND_TIMEOUT_USEC=60000000");
}

const struct ipc_handlers master_handlers = {
	.ready = handle_ready,
	.stopped = handle_stopped,
	.peer_lost = handle_peer_lost,
	.outgrown = handle_outgrown,
	.working = handle_working,
	.reload = handle_reload,
	.status = handle_status,
	.stats = handle_stats,
	.command_run = handle_command_run,
	.user_of = handle_user_of,
};

/* ---- stopping: who takes mail, then who sends it, then who keeps it; each waits for the one before ---- */
static unsigned stop_rank(const struct child *c)
{
	return role_facts[c->role].stop;
}

static void end_loop(struct master *m)
{
	remove_control_socket(m);
	log_settle(true);
	log_info(NULL, "master.ended", kv("exit_code", m->exit_code));
	uv_stop(m->loop);
}

/* All processes are killed at the end of the grace; a role gets a little less, so that it can end before. */
static uint64_t grace_left(const struct master *m)
{
	uint64_t due = uv_timer_get_due_in(&m->stop_timer), margin = m->config->shutdown_grace_ms / 4;

	if (margin > KILL_MARGIN_MS)
		margin = KILL_MARGIN_MS;
	return due > margin ? due - margin : 1;
}

/* Stop the roles of the lowest rank that still has processes. When there are no processes, end the loop. */
static void stop_next(struct master *m)
{
	unsigned rank = UINT_MAX;

	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].process_open && stop_rank(&m->children[i]) < rank)
			rank = stop_rank(&m->children[i]);
	if (rank == UINT_MAX) {
		end_loop(m);
		return;
	}
	for (size_t i = 0; i < m->children_n; i++) {
		struct child *c = &m->children[i];

		if (!c->process_open || stop_rank(c) != rank || c->state == CHILD_STOPPING)
			continue;
		c->state = CHILD_STOPPING;
		ipc_send_stop(c->ch, &(struct msg_stop){ .grace_ms = grace_left(m) }, -1);
	}
}

static void on_grace_over(uv_timer_t *timer)
{
	struct master *m = timer->data;

	for (size_t i = 0; i < m->children_n; i++)
		child_kill(&m->children[i], SIGKILL, "it did not stop in time");
}

void master_stop(struct master *m, int exit_code)
{
	uint64_t grace = m->config->shutdown_grace_ms > KILL_EARLIEST_MS ? m->config->shutdown_grace_ms : KILL_EARLIEST_MS;

	if (m->stopping)
		return;
	m->stopping = true;
	m->exit_code = exit_code;
	log_info(NULL, "master.stopping", kv("grace_ms", m->config->shutdown_grace_ms));
	notify_stopping(grace + KILL_MARGIN_MS);
	close_listeners(m);
	commands_end(m, NULL);
	uv_timer_start(&m->stop_timer, on_grace_over, grace, 0);
	stop_next(m);
}

/* A process has ended while master stops, or before the first start was complete. */
void master_child_gone(struct master *m)
{
	if (!m->stopping)
		master_stop(m, EX_SOFTWARE);
	else
		stop_next(m);
}

/* ---- signals ---- */
/* As PID 1 of a container, master inherits orphans and reaps them. libuv reaps the processes that master has started. */
static void reap_strangers(struct master *m)
{
	siginfo_t info = { 0 };

	while (getpid() == 1 && waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		for (size_t i = 0; i < m->children_n; i++)
			if (m->children[i].process_open && m->children[i].pid == info.si_pid)
				return;
		if (commands_have(m, info.si_pid))
			return;
		waitpid(info.si_pid, NULL, 0);
		info.si_pid = 0;
	}
}

static void on_signal(uv_signal_t *handle, int signal)
{
	struct master *m = handle->data;

	if (signal == SIGHUP)
		reload_begin(m, NULL, 0, "SIGHUP");
	else if (signal == SIGCHLD)
		reap_strangers(m);
	else
		master_stop(m, EX_OK);
}

static void on_ping_time(uv_timer_t *timer)
{
	struct master *m = timer->data;

	children_ping(m);
	children_look_again(m);
	reap_strangers(m);
	/* a submission process that starts tomorrow must not be able to decrypt the tickets of today */
	tls_ticket_secret_age((char *)(uintptr_t)m->config->tls_ticket_secret.p, clock_now_ms());
}

static void on_alive_time(uv_timer_t *timer)
{
	notify("WATCHDOG=1");
}

static void start_timers(struct master *m)
{
	uint64_t alive_ms = notify_alive_ms();

	uv_timer_init(m->loop, &m->stop_timer);
	m->stop_timer.data = m;
	uv_timer_init(m->loop, &m->ping_timer);
	m->ping_timer.data = m;
	uv_timer_start(&m->ping_timer, on_ping_time, PING_MS, PING_MS);
	uv_timer_init(m->loop, &m->alive_timer);
	if (alive_ms > 0)
		uv_timer_start(&m->alive_timer, on_alive_time, alive_ms, alive_ms);
}

static void watch_signals(struct master *m)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < 4; i++) {
		uv_signal_init(m->loop, &m->signals[i]);
		m->signals[i].data = m;
		uv_signal_start(&m->signals[i], on_signal, signals[i]);
	}
}

/* ---- starting ---- */
static void find_users(struct master *m)
{
	const struct users *u = &m->users;

	if (!users_find(&m->users, &m->users_arena, m->config->run_as))
		die(EX_CONFIG, "run_as: there is no user \"%.*s\" on this machine", STR_ARG(m->config->run_as));
	if (u->missing.n > 0 && u->of[AS_RUN_AS].uid != 0)
		log_warning(NULL, "users.missing", kv("missing", u->missing), kv("instead", u->of[AS_RUN_AS].name));
}

/* The service manager can give master capabilities (for low ports, and keys that only root can read). The roles do not inherit
 * them. */
static void keep_capabilities_from_roles(void)
{
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
		die(EX_OSERR, "PR_CAP_AMBIENT: %s", strerror(errno));
}

static unsigned worker_count(const struct config *c)
{
	uint64_t n = c->submission.workers ? c->submission.workers : (uint64_t)uv_available_parallelism();
	unsigned most = c->store.engine == ENGINE_POSTGRESQL ? ID_CLUSTER_WORKERS_MAX : WORKERS_MAX;

	return n > most ? most : n ? (unsigned)n : 1;
}

/* The absolute path. Links in it are not resolved: in a container's configuration volume their targets are replaced as a
 * whole. */
static const char *absolute(const char *path)
{
	char here[PATH_MAX], *whole;

	if (*path == '/' || strcmp(path, CONFIG_ENVIRONMENT) == 0)
		return path;
	if (!getcwd(here, sizeof here) || asprintf(&whole, "%s/%s", here, path) < 0)
		die(EX_OSERR, "the directory of %s cannot be found: %s", path, strerror(errno));
	return whole;
}

/* master works in the root directory, so that it keeps no other file system busy; the path of the configuration is absolute
 * before. */
static void load(struct master *m, const char *config_path)
{
	struct config_faults faults = { 0 };

	m->config_path = absolute(config_path);
	if (chdir("/") != 0)
		die(EX_OSERR, "/: %s", strerror(errno));
	m->config = config_load(m->config_path, &faults);
	log_configure(m->config->log.format == LOG_FORMAT_JSON, (enum log_level)m->config->log.level);
	if (faults_print(&faults) > 0)
		exit(EX_CONFIG);
}

/* Said once, and not by each role. */
static void tell_sandbox(const struct config *c)
{
	struct arena a = { 0 };
	bool whole;
	struct str missing = sandbox_missing(&a, &whole);

	if (c->sandbox == SANDBOX_OFF)
		log_warning(NULL, "sandbox.off");
	else if (missing.n > 0)
		log_at(whole ? LOG_WARNING : LOG_INFO, NULL, "sandbox.incomplete", kv("walls", missing));
	arena_fini(&a);
}

int serve(const char *config_path)
{
	static struct master master;
	struct master *m = &master;

	log_setup("master", -1);
	m->started_at = clock_now_ms();
	m->control = m->local = (struct unix_socket){ .fd = -1, .dir_fd = -1 };
	m->lock_fd = -1;
	umask(0077);
	keep_capabilities_from_roles();
	raise_descriptor_limit();
	load(m, config_path);
	if (machine_check(m->config) > 0)
		exit(EX_CONFIG);
	find_users(m);
	tell_sandbox(m->config);
	m->workers = worker_count(m->config);
	m->loop = uv_default_loop();
	m->generation = m->offers = 1;
	lock_state_dir(m);
	open_sockets(m);
#ifndef POSTHOUSE_SANITIZED
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		die(EX_OSERR, "PR_SET_DUMPABLE: %s", strerror(errno));
#endif
	watch_signals(m);
	start_timers(m);
	children_init(m);
	reload_watch_certificates(m);
	uv_run(m->loop, UV_RUN_DEFAULT);
	config_free(m->config);
	return m->exit_code;
}
