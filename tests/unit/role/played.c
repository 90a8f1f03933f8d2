/* played.c */
#include "played.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- master ---- */
static void handle_ready(void *ctx, struct channel *ch, const struct msg_ready *m, int fd)
{
	((struct played *)ctx)->ready++;
}

static void handle_stopped(void *ctx, struct channel *ch, const struct msg_stopped *m, int fd)
{
	((struct played *)ctx)->stopped++;
}

/* A real master connects the two again. Here the tests end peers on purpose. */
static void handle_peer_lost(void *ctx, struct channel *ch, const struct msg_peer_lost *m, int fd)
{
}

static const struct ipc_handlers master_handlers = { .ready = handle_ready,
						     .stopped = handle_stopped,
						     .peer_lost = handle_peer_lost };

static void on_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct played *p = ctx;

	if (p->master == ch)
		p->master = NULL;
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		if (p->peers[i] == ch)
			p->peers[i] = NULL;
	channel_free(ch);
}

/* One end becomes our channel; the other one is returned. */
static int open_channel(struct played *p, enum role_id self, const struct ipc_handlers *handlers, struct channel **channel_out)
{
	struct channel_config config = {
		.self = self, .peer = p->role, .incarnation = 1, .handlers = handlers, .on_closed = on_closed, .ctx = p
	};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	*channel_out = channel_new(p->loop, pair[0], &config);
	return pair[1];
}

/* ---- the process ---- */
static void run_program(const struct played *p, int channel)
{
	if (channel == 3 ? fcntl(channel, F_SETFD, 0) < 0 : dup2(channel, 3) < 0)
		_exit(99);
	execl(p->program, p->program, "--index", "0", "--incarnation", "2", (char *)NULL);
	_exit(98);
}

void played_start(struct played *p, const struct config *c)
{
	int channel = open_channel(p, ROLE_MASTER, &master_handlers, &p->master);

	p->pid = fork();
	assert_true(p->pid >= 0);
	if (p->pid == 0)
		run_program(p, channel);
	close(channel);
	assert_true(played_configure(p, c));
}

static void on_configured(void *ctx, struct verdict v, const struct msg_configured *m, int fd)
{
	struct played *p = ctx;

	p->configure_verdict = verdict_keep(&p->arena, m != NULL ? m->verdict : v);
	p->configured++;
}

/* The role's slice of a configuration, in a descriptor. */
static int write_slice(const struct played *p, const struct config *c)
{
	int fd = memfd_create("slice", MFD_CLOEXEC);
	struct buf slice;

	buf_init(&slice, 1 << 24);
	assert_true(config_slice_encode(c, p->role, &slice));
	assert_int_equal(write(fd, buf_view(&slice).p, slice.n), slice.n);
	buf_fini(&slice);
	return fd;
}

bool played_configure(struct played *p, const struct config *c)
{
	unsigned generation = p->configured + 1, ready = p->ready;
	int fd = write_slice(p, c);

	ipc_call_configure(p->master, &(struct msg_configure){ .generation = generation }, fd, on_configured, p);
	close(fd);
	assert_true(run_until(p->loop, &p->configured, generation));
	if (p->configure_verdict.class != OK) {
		ipc_send_abandon(p->master, &(struct msg_abandon){ .generation = generation }, -1);
		return false;
	}
	ipc_send_apply(p->master, &(struct msg_apply){ .generation = generation }, -1);
	assert_true(run_until(p->loop, &p->ready, ready + 1));
	return true;
}

static void on_pong(void *ctx, struct verdict v, const struct msg_pong *m, int fd)
{
	((struct played *)ctx)->pongs++;
}

void played_connect(struct played *p, enum role_id peer, const struct ipc_handlers *handlers)
{
	int fd = open_channel(p, peer, handlers, &p->peers[peer]);
	unsigned pongs = p->pongs;

	ipc_send_connect(p->master, &(struct msg_connect){ .role = peer, .incarnation = 1 }, fd);
	close(fd);
	ipc_call_ping(p->master, &(struct msg_ping){ 0 }, -1, on_pong, p);
	assert_true(run_until(p->loop, &p->pongs, pongs + 1));
}

void played_disconnect(struct played *p, enum role_id peer)
{
	channel_close(p->peers[peer], "the test ends it");
	p->peers[peer] = NULL;
}

void played_stop(struct played *p, uint64_t grace_ms)
{
	ipc_send_stop(p->master, &(struct msg_stop){ .grace_ms = grace_ms }, -1);
}

void played_wait(struct played *p)
{
	int status = -1;

	assert_true(run_until(p->loop, &p->stopped, 1));
	for (int i = 0; i < 500 && waitpid(p->pid, &status, WNOHANG) == 0; i++)
		run_for(p->loop, 10);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	p->pid = 0;
}

void played_end(struct played *p)
{
	if (p->pid > 0 && p->ready > 0) {
		played_stop(p, 2000);
		played_wait(p);
	} else if (p->pid > 0) {
		kill(p->pid, SIGKILL);
		waitpid(p->pid, NULL, 0);
	}
	if (p->master != NULL)
		channel_close(p->master, "end");
	for (unsigned i = 0; i < ROLE_COUNT; i++)
		if (p->peers[i] != NULL)
			channel_close(p->peers[i], "end");
	run_for(p->loop, 20);
	arena_fini(&p->arena);
}
