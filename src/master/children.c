/* children.c - the processes of the roles: started, wired to each other, watched, started again. */
#include "master.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define LONG_LIFE_MS      MINUTE_MS /* who lived this long starts again without a pause */
#define BACK_OFF_FIRST_MS 100
#define REWIRE_MS         200
#define REWIRE_QUICK_MS   5000
#define REWIRES_MAX       5
#define BACK_OFF_MAX_MS   30000
#define SHORT_LIVES_MAX   3 /* in a row, of a program that was replaced: then it is its program's fault */
#define ROLE_PATH_MAX     4096
#define ENVIRONMENT_MAX   32

/* Who talks to whom (DESIGN 2.1); console talks to all. */
static const struct edge {
	enum role_id a, b;
} edges[] = {
	{ ROLE_SUBMISSION, ROLE_LOGIN },   { ROLE_SUBMISSION, ROLE_VAULT }, { ROLE_SUBMISSION, ROLE_QUEUE },
	{ ROLE_RELAY, ROLE_QUEUE },        { ROLE_RELAY, ROLE_VAULT },      { ROLE_QUEUE, ROLE_VAULT },
	{ ROLE_CONSOLE, ROLE_SUBMISSION }, { ROLE_CONSOLE, ROLE_LOGIN },    { ROLE_CONSOLE, ROLE_VAULT },
	{ ROLE_CONSOLE, ROLE_QUEUE },      { ROLE_CONSOLE, ROLE_RELAY },
};

struct child *child_find(struct master *m, enum role_id role, unsigned index)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].role == role && m->children[i].index == index)
			return &m->children[i];
	return NULL;
}

struct child *child_of(struct master *m, const struct channel *ch)
{
	return child_find(m, channel_peer(ch), channel_peer_index(ch));
}

/* ---- wiring ---- */
static bool are_peers(enum role_id a, enum role_id b)
{
	for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
		if ((edges[i].a == a && edges[i].b == b) || (edges[i].a == b && edges[i].b == a))
			return true;
	return false;
}

static void tell_peer(struct child *to, const struct child *peer, int fd)
{
	struct msg_connect m = { .role = peer->role, .index = peer->index, .incarnation = peer->incarnation };

	ipc_send_connect(to->ch, &m, fd);
}

static void connect_pair(struct child *a, struct child *b)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
		log_error(NULL, "master.failed", kv("what", "socketpair"), kv("error", strerror(errno)));
		return;
	}
	tell_peer(a, b, ends[0]);
	tell_peer(b, a, ends[1]);
	close(ends[0]);
	close(ends[1]);
}

static void wire(struct child *c)
{
	struct master *m = c->master;

	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state == CHILD_READY && are_peers(c->role, m->children[i].role) && &m->children[i] != c)
			connect_pair(c, &m->children[i]);
}

static void on_rewire(uv_timer_t *timer)
{
	struct child *c = timer->data, *peer = c->lost;
	uint64_t now = clock_mono_ms();

	c->lost = NULL;
	/* when one has ended meanwhile, its next life is wired anyhow */
	if (c->master->stopping || c->state != CHILD_READY || peer->state != CHILD_READY ||
	    peer->incarnation != c->lost_incarnation)
		return;
	c->rewires = now - c->rewired_mono < REWIRE_QUICK_MS ? c->rewires + 1 : 0;
	c->rewired_mono = now;
	if (c->rewires > REWIRES_MAX) {
		c->rewires = 0;
		child_kill(peer, SIGKILL, "its channels close again and again");
		return;
	}
	log_warning(NULL, "role.rewired", kv("one", role_name(c->role)), kv("other", role_name(peer->role)));
	connect_pair(c, peer);
}

/* Could this role have had a channel to that life of that peer? */
static bool could_have_lost(const struct child *c, const struct child *peer, uint64_t incarnation)
{
	return peer && peer != c && are_peers(c->role, peer->role) && incarnation <= c->master->last_incarnation;
}

void child_lost_peer(struct child *c, const struct msg_peer_lost *m)
{
	struct child *peer = m->role < ROLE_COUNT ? child_find(c->master, (enum role_id)m->role, (unsigned)m->index) : NULL;

	if (c->master->stopping || c->state == CHILD_STOPPING)
		return;
	if (!could_have_lost(c, peer, m->incarnation)) {
		child_kill(c, SIGKILL, "it names a peer that it cannot have");
		return;
	}
	if (c->lost || peer->incarnation != m->incarnation || peer->lost == c)
		return; /* one end is enough to tell */
	c->lost = peer;
	c->lost_incarnation = m->incarnation;
	uv_timer_start(&c->rewire, on_rewire, REWIRE_MS, 0);
}

/* A role gets its listening sockets after its peers, so that the first client meets a complete relay. */
static void give_listeners(struct child *c)
{
	struct master *m = c->master;

	if (c->role == ROLE_CONSOLE)
		ipc_send_listener(c->ch, &(struct msg_listener){ .kind = 1 }, m->control_fd);
	if (c->role != ROLE_SUBMISSION || !m->listeners)
		return;
	for (size_t i = 0; i < m->sockets_n; i++)
		ipc_send_listener(c->ch, &(struct msg_listener){ .listen = m->listener_of[i] },
				  m->listeners[c->index * m->config->listen_n * 2 + i]);
}

static bool all_children_ready(const struct master *m)
{
	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state != CHILD_READY)
			return false;
	return true;
}

void child_ready(struct child *c)
{
	struct master *m = c->master;
	bool fresh = c->state == CHILD_APPLYING;

	if (!fresh)
		return; /* `ready` after a reload */
	if (c->generation != m->generation) {
		child_kill(c, SIGKILL, "the configuration was reloaded while it started");
		return;
	}
	c->state = CHILD_READY;
	log_at(m->all_ready ? LOG_INFO : LOG_DEBUG, NULL, "role.ready", kv("started", role_name(c->role)), kv("number", c->index),
	       kv("pid", (int)c->pid));
	wire(c);
	if (m->all_ready) {
		give_listeners(c);
	} else if (all_children_ready(m)) {
		m->all_ready = true;
		for (size_t i = 0; i < m->children_n; i++)
			give_listeners(&m->children[i]);
		log_info(NULL, "master.ready", kv("version", POSTHOUSE_VERSION), kv("hostname", m->config->hostname),
			 kv("workers", m->workers), kv("took_ms", clock_now_ms() - m->started_at));
		notify("READY=1");
	}
}

/* ---- starting ---- */
/* Beside our own binary (a build directory), else in libexecdir. */
static const char *role_path(enum role_id role, char path[ROLE_PATH_MAX])
{
	char self[ROLE_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (slash) {
		*slash = '\0';
		snprintf(path, ROLE_PATH_MAX, "%.3900s/posthouse-%s", self, role_name(role));
		if (access(path, X_OK) == 0)
			return path;
	}
	snprintf(path, ROLE_PATH_MAX, "%s/posthouse-%s", POSTHOUSE_LIBEXECDIR, role_name(role));
	return path;
}

/* What a role may inherit of our environment: nothing that a user's shell happens to hold. */
static char **role_environment(const struct child *c, char *kept[ENVIRONMENT_MAX])
{
	static const char *const names[] = {
		"TZ=",           "SSL_CERT_FILE=",      "SSL_CERT_DIR=",    "ASAN_OPTIONS=", "UBSAN_OPTIONS=",
		"LSAN_OPTIONS=", "UV_THREADPOOL_SIZE=", "LD_LIBRARY_PATH=", "PATH="
	};
	size_t n = 0;

	for (char **e = environ; *e && n < ENVIRONMENT_MAX - 4; e++) {
		for (size_t i = 0; i < sizeof names / sizeof names[0] && n < ENVIRONMENT_MAX - 3; i++)
			if (strncmp(*e, names[i], strlen(names[i])) == 0)
				kept[n++] = *e;
#ifdef POSTHOUSE_CRASH_POINTS
		/* a named crash happens once: the next life of the role is to show that it recovers */
		if (c->failures == 0 && strncmp(*e, "POSTHOUSE_CRASH=", 16) == 0)
			kept[n++] = *e;
		/* the clock and the power-cut shim of the tests */
		if (strncmp(*e, "POSTHOUSE_CLOCK=", 16) == 0 || strncmp(*e, "POSTHOUSE_SLOW=", 15) == 0)
			kept[n++] = *e;
		if (strncmp(*e, "LD_PRELOAD=", 11) == 0 || strncmp(*e, "POWERCUT_", 9) == 0)
			kept[n++] = *e;
#endif
	}
	kept[n] = NULL;
	return kept;
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal);
static void on_channel_closed(void *ctx, struct channel *ch, const char *reason);

static int spawn(struct child *c, int channel_fd, int log_fd)
{
	struct master *m = c->master;
	char path[ROLE_PATH_MAX], *kept[ENVIRONMENT_MAX], index[24], incarnation[24], uid[24], gid[24];
	char *arguments[] = { path,        (char *)(uintptr_t) "--index",
			      index,       (char *)(uintptr_t) "--incarnation",
			      incarnation, m->drop ? (char *)(uintptr_t) "--uid" : NULL,
			      uid,         (char *)(uintptr_t) "--gid",
			      gid,         NULL };
	uv_stdio_container_t stdio[5] = { { .flags = UV_IGNORE },
					  { .flags = UV_IGNORE },
					  { .flags = UV_INHERIT_FD, .data.fd = log_fd },
					  { .flags = UV_INHERIT_FD, .data.fd = channel_fd },
					  { .flags = UV_INHERIT_FD, .data.fd = m->lock_fd } };
	uv_process_options_t options = { .file = role_path(c->role, path),
					 .args = arguments,
					 .env = role_environment(c, kept),
					 .exit_cb = on_process_exit,
					 .stdio = stdio,
					 .stdio_count = 5 };

	snprintf(index, sizeof index, "%u", c->index);
	snprintf(incarnation, sizeof incarnation, "%llu", (unsigned long long)c->incarnation);
	snprintf(uid, sizeof uid, "%u", (unsigned)m->uid);
	snprintf(gid, sizeof gid, "%u", (unsigned)m->gid);
	c->process.data = c;
	return uv_spawn(m->loop, &c->process, &options);
}

static void on_back_off(uv_timer_t *timer)
{
	struct child *c = timer->data;

	if (!c->master->stopping && c->state == CHILD_AWAY && !c->process_open)
		child_start(c);
}

/* The pause doubles with each short life. */
static void start_later(struct child *c)
{
	uint64_t pause = BACK_OFF_FIRST_MS;

	for (unsigned i = 1; i < c->failures && pause < BACK_OFF_MAX_MS; i++)
		pause *= 2;
	uv_timer_start(&c->back_off, on_back_off, pause > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : pause, 0);
}

static void start_failed(struct child *c, const char *what, const char *why)
{
	log_error(NULL, "role.start_failed", kv("failed", role_name(c->role)), kv("what", what), kv("error", why));
	c->failures++;
	if (c->master->all_ready)
		start_later(c);
	else
		master_stop(c->master, EX_OSERR);
}

void child_start(struct child *c)
{
	struct master *m = c->master;
	struct channel_config config = { .self = ROLE_MASTER,
					 .peer = c->role,
					 .peer_index = c->index,
					 .incarnation = 1,
					 .handlers = &master_handlers,
					 .on_closed = on_channel_closed,
					 .ctx = m };
	int ends[2], log_fd, error;

	if (m->stopping)
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
		start_failed(c, "socketpair", strerror(errno));
		return;
	}
	log_fd = logs_pipe(m);
	c->incarnation = ++m->last_incarnation;
	c->offered = 0;
	error = spawn(c, ends[1], log_fd);
	close(ends[1]);
	close(log_fd);
	if (error) {
		close(ends[0]);
		uv_close((uv_handle_t *)&c->process, NULL); /* libuv wants it closed all the same */
		start_failed(c, "spawn", uv_strerror(error));
		return;
	}
	c->process_open = true;
	c->pid = c->process.pid;
	c->started_at = clock_now_ms();
	c->started_mono = clock_mono_ms();
	c->state = CHILD_CONFIGURED;
	c->ch = channel_new(m->loop, ends[0], &config);
	configure_child(c);
}

/* ---- ending ---- */
/* The channel goes first when a role breaks the rules; a living process behind a closed channel is of no use. */
static void on_channel_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct child *c = child_of(ctx, ch);

	if (c && c->ch == ch) {
		c->ch = NULL;
		if (reason == channel_other_build)
			master_outdated(c->master, c, "its messages are those of another build");
		if (c->process_open && c->state != CHILD_STOPPING && strcmp(reason, "the peer has ended") != 0 &&
		    strcmp(reason, "the peer has gone") != 0)
			child_kill(c, SIGKILL, reason);
		reload_child_lost(c->master, c);
	}
	channel_free(ch);
}

/* queue and relay live and die together: two generations must never deliver the same message. */
static void end_partner(struct child *c)
{
	struct child *relay = child_find(c->master, ROLE_RELAY, 0);

	if (c->role == ROLE_QUEUE && relay->process_open && !c->master->stopping)
		child_kill(relay, SIGKILL, "queue has died");
}

static void restart(struct child *c)
{
	struct master *m = c->master;
	struct child *relay = child_find(m, ROLE_RELAY, 0), *queue = child_find(m, ROLE_QUEUE, 0);

	if (c->role == ROLE_QUEUE && relay->process_open)
		return; /* relay's end brings both back */
	if (c == relay && queue->state == CHILD_AWAY && !queue->process_open && !uv_is_active((uv_handle_t *)&queue->back_off))
		start_later(queue);
	start_later(c);
}

static void on_process_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	c->process_open = false;
	c->state = CHILD_AWAY;
	if (c->master->stopping || !c->master->all_ready)
		master_child_gone(c->master);
	else
		restart(c);
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
	struct child *c = process->data;
	struct master *m = c->master;

	if (!m->stopping)
		log_error(NULL, "role.died", kv("dead", role_name(c->role)), kv("number", c->index), kv("pid", (int)c->pid),
			  kv("status", (long long)status), kv("signal", signal));
	c->failures = clock_mono_ms() - c->started_mono > LONG_LIFE_MS ? 1 : c->failures + 1;
	child_unwatch(c);
	if (c->ch)
		channel_close(c->ch, "the process has ended");
	if (c->failures >= SHORT_LIVES_MAX && program_was_replaced())
		master_outdated(m, c, "it ends at once, again and again");
	end_partner(c);
	uv_close((uv_handle_t *)process, on_process_closed);
}

/* ---- all of them ---- */
static void add_child(struct master *m, enum role_id role, unsigned index)
{
	struct child *c = &m->children[m->children_n++];

	*c = (struct child){ .master = m, .role = role, .index = index };
	uv_timer_init(m->loop, &c->back_off);
	uv_timer_init(m->loop, &c->rewire);
	uv_timer_init(m->loop, &c->insist);
	c->back_off.data = c->rewire.data = c->insist.data = c;
}

void children_init(struct master *m)
{
	add_child(m, ROLE_VAULT, 0);
	add_child(m, ROLE_LOGIN, 0);
	add_child(m, ROLE_QUEUE, 0);
	add_child(m, ROLE_RELAY, 0);
	add_child(m, ROLE_CONSOLE, 0);
	for (unsigned i = 0; i < m->workers; i++)
		add_child(m, ROLE_SUBMISSION, i);
	for (size_t i = 0; i < m->children_n; i++)
		child_start(&m->children[i]);
}
