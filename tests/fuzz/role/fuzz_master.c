/* fuzz_master.c - what roles tell master and ask of it. Their processes are played: a start gives the fuzzer the role's end of the
 * channel, a signal to it is its end. Each input starts with all roles ready; what one role says can end itself or a peer of its, no
 * other, and master only where builds differ. */
#include "datagram.h"
#include "keys.h"
#include "master.h"
#include "plan.h"
#include "world.h"

#include "posthouse/log.h"

#include "../../support/remove_tree.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#define WORKERS 2

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* clang-format off */
int __wrap_uv_process_kill(uv_process_t *process, int signal);
uint64_t __wrap_ipc_table_hash(void);
uint64_t __real_ipc_table_hash(void);
ssize_t __real_writev(int fd, const struct iovec *parts, int n);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int n);
/* clang-format on */

const struct role_case role_case = { .role = ROLE_MASTER };

/* The process of a role, as far as master sees it. */
struct process {
	int fd; /* its end of the channel; -1: none */
	uv_exit_cb on_exit;
	bool runs, told_to_end;
};

static struct {
	bool begun, quiet; /* quiet: the roles say nothing but what the input has */
	struct master master;
	struct process processes[WORKERS_MAX + ROLE_COUNT];
	char directory[64];
	const struct child *speaker; /* NULL: no stranger has spoken so far */
} world;

/* ---- in the place of others ---- */
static struct process *process_of(const struct child *c)
{
	return &world.processes[c - world.master.children];
}

/* An idle handle in the place of the process: only its close is needed. */
int child_spawn(struct child *c, int channel_fd, int log_fd, uv_exit_cb on_exit)
{
	struct process *p = process_of(c);
	struct msg_hello hello = {
		.role = c->role, .index = c->index, .incarnation = c->incarnation, .table_hash = ipc_table_hash()
	};
	struct buf b;

	uv_idle_init(c->master->loop, (uv_idle_t *)(void *)&c->process);
	c->process.data = c;
	c->process.pid = 0;
	*p = (struct process){ .fd = fcntl(channel_fd, F_DUPFD_CLOEXEC, 3), .on_exit = on_exit, .runs = true };
	buf_init(&b, IPC_DATAGRAM_MAX);
	ipc_encode(&b, MSG_hello, 0, &hello);
	if (datagram_send(p->fd, buf_view(&b), -1) < 0)
		abort();
	buf_fini(&b);
	return 0;
}

/* Is it the speaker's own end, or that of a role with which it has a channel? */
static bool is_allowed_to_end(const struct child *c)
{
	return !world.speaker || c == world.speaker || c->role == world.speaker->role ||
	       roles_are_peers(c->role, world.speaker->role);
}

int __wrap_uv_process_kill(uv_process_t *process, int signal)
{
	struct child *c = process->data;

	if (!is_allowed_to_end(c)) {
		fprintf(stderr, "%s has had %s ended\n", role_name(world.speaker->role), role_name(c->role));
		abort();
	}
	if (!process_of(c)->runs)
		abort(); /* its number can be another process's by now */
	process_of(c)->told_to_end = true;
	return 0;
}

uint64_t __wrap_ipc_table_hash(void)
{
	static uint64_t hash;

	if (hash == 0)
		hash = __real_ipc_table_hash();
	return hash;
}

ssize_t __wrap_writev(int fd, const struct iovec *parts, int n)
{
	ssize_t bytes = 0;

	if (fd != STDERR_FILENO || getenv("POSTHOUSE_FUZZ_LOG"))
		return __real_writev(fd, parts, n);
	for (int i = 0; i < n; i++)
		bytes += (ssize_t)parts[i].iov_len;
	return bytes;
}

/* ---- what the mutator knows ---- */
enum role_id world_role(void)
{
	return ROLE_MASTER;
}

bool world_has_outside(void)
{
	return false;
}

unsigned world_peers_n(void)
{
	return (unsigned)world.master.children_n;
}

enum role_id world_peer_role(unsigned peer)
{
	return world.master.children[peer].role;
}

/* ---- the roles ---- */
static void end_process(struct child *c)
{
	struct process *p = process_of(c);

	if (!p->runs)
		return;
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
	p->runs = p->told_to_end = false;
	p->on_exit(&c->process, 0, SIGKILL);
}

static void say(struct process *p, enum msg_type type, uint64_t call, const void *m)
{
	struct buf b;

	buf_init(&b, IPC_DATAGRAM_MAX);
	ipc_encode(&b, type, call, m);
	if (p->fd >= 0)
		datagram_send(p->fd, buf_view(&b), -1);
	buf_fini(&b);
}

static void answer(struct child *c, const struct message *m)
{
	struct process *p = process_of(c);

	if (m->type == MSG_stop && (!world.quiet || world.speaker == c))
		p->told_to_end = true;
	if (m->type == MSG_stop && !is_allowed_to_end(c))
		abort();
	if (world.quiet && world.speaker == c)
		return; /* it has been taken over, and says what the input has */
	if (m->type == MSG_configure)
		say(p, MSG_configured, m->call, &(struct msg_configured){ .generation = m->at[0].number, .verdict = ok() });
	else if (m->type == MSG_apply)
		say(p, MSG_ready, 0, &(struct msg_ready){ .generation = m->at[0].number });
	else if (m->type == MSG_ping)
		say(p, MSG_pong, m->call, &(struct msg_pong){ 0 });
}

static bool hear(struct child *c)
{
	static char bytes[IPC_DATAGRAM_MAX + 1];
	static struct message m;
	struct process *p = process_of(c);
	struct datagram_extras extras;
	ssize_t n = p->fd < 0 ? -EAGAIN : datagram_receive(p->fd, bytes, sizeof bytes, &extras);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		close(p->fd);
		p->fd = -1;
		return true;
	}
	if (extras.fd >= 0)
		close(extras.fd);
	if (!message_read(&m, str_make(bytes, (size_t)n)))
		abort();
	recent_note(&m);
	answer(c, &m);
	return true;
}

static void turn(void)
{
	struct master *m = &world.master;

	for (bool any = true; any;) {
		struct pollfd poll_fd = { .fd = uv_backend_fd(m->loop), .events = POLLIN };

		any = false;
		uv_run(m->loop, UV_RUN_NOWAIT);
		for (size_t i = 0; i < m->children_n; i++) {
			any |= hear(&m->children[i]);
			if (process_of(&m->children[i])->told_to_end) {
				end_process(&m->children[i]);
				any = true;
			}
		}
		any |= uv_backend_timeout(m->loop) == 0 || poll(&poll_fd, 1, 0) > 0;
	}
}

/* Those that wait for their next start get it now. */
static void start_all(void)
{
	struct master *m = &world.master;
	bool ready = false;

	world.quiet = false;
	world.speaker = NULL;
	for (int rounds = 0; rounds < 100 && !ready; rounds++) {
		ready = true;
		for (size_t i = 0; i < m->children_n; i++) {
			struct child *c = &m->children[i];

			if (uv_is_active((uv_handle_t *)&c->back_off))
				c->back_off.timer_cb(&c->back_off);
			uv_timer_stop(&c->back_off);
			if (c->state == CHILD_STOPPING || (c->state != CHILD_READY && process_of(c)->fd < 0))
				end_process(c);
			ready &= c->state == CHILD_READY || !child_is_needed(c);
		}
		turn();
	}
	if (!ready || m->reload)
		abort();
}

/* ---- the start ---- */
static void write_config(void)
{
	char path[256];
	FILE *f;

	snprintf(world.directory, sizeof world.directory, "/tmp/fuzz-master-XXXXXX");
	if (!mkdtemp(world.directory))
		abort();
	snprintf(path, sizeof path, "%s/posthouse.conf", world.directory);
	keys_make(world.directory);
	f = fopen(path, "w");
	fprintf(f,
		"hostname = \"relay.example.org\"; postmaster = \"postmaster@example.org\"; state_dir = \"%s\"; run_as = \"root\";\n"
		"listen = ( { address = \"127.0.0.1\"; port = 587; tls = \"starttls\"; } ); control = \"%s/control.sock\";\n"
		"certificates = ( { chain = \"%s/chain.pem\"; key = \"%s/key.pem\"; } );\n"
		"auth = { realm = \"example.org\"; }; submission = { workers = %d; }; doctor = { daily = true; }; metrics = \"127.0.0.1:9587\";\n"
		"upstreams = ( { name = \"next\"; host = \"127.0.0.1\"; port = 9; tls = \"none\"; } ); routes = ( { via = [ \"next\" ]; } );\n",
		world.directory, world.directory, world.directory, world.directory, WORKERS);
	fclose(f);
	world.master.config_path = strdup(path);
}

static void remove_files(void)
{
	remove_tree(world.directory);
}

void world_begin(void)
{
	static struct config_faults faults;
	struct master *m = &world.master;

	if (world.begun)
		return;
	world.begun = true;
	signal(SIGPIPE, SIG_IGN);
	write_config();
	atexit(remove_files);
	m->loop = uv_default_loop();
	m->config = config_load(m->config_path, &faults);
	if (faults_print(&faults) > 0)
		exit(1);
	m->generation = m->offers = 1;
	m->workers = WORKERS;
	m->lock_fd = m->local.fd = m->local.dir_fd = m->control.dir_fd = -1;
	m->control.fd = m->metrics_fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	m->metrics_n = 1;
	uv_timer_init(m->loop, &m->stop_timer);
	m->stop_timer.data = m;
	log_configure(false, LOG_DEBUG);
	children_init(m);
	turn();
	start_all();
}

/* ---- an input: what one role says that was taken over ---- */
static void say_act(const struct act *act, struct child *c, struct arena *a)
{
	static struct message m;
	static struct buf b;
	int fd = act->what % PASS_KINDS == PASS_NULL ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;

	if (!b.max)
		buf_init(&b, 1 << 20);
	buf_clear(&b);
	if (message_read(&m, act->bytes)) {
		recent_resolve(&m, a);
		message_write(&m, &b);
	} else {
		buf_add(&b, act->bytes);
	}
	if (process_of(c)->fd >= 0)
		datagram_send(process_of(c)->fd, buf_view(&b), fd);
	if (fd >= 0)
		close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct acts acts;
	struct master *m = &world.master;
	struct arena a = { 0 };

	world_begin();
	recent_forget();
	m->reloads = m->runs = (struct allowance){ 0 };
	acts_read(&acts, str_make(data, size), &a);
	for (size_t i = 0; i < acts.n; i++) {
		struct child *c = &m->children[acts.at[i].who % m->children_n];

		if (world.speaker && world.speaker != c)
			start_all();
		if (acts.at[i].kind == ACT_TIME)
			children_ping(m);
		if (acts.at[i].kind == ACT_MESSAGE || acts.at[i].kind == ACT_END) {
			world.speaker = c;
			world.quiet = acts.flags & FLAG_OPEN;
		}
		if (acts.at[i].kind == ACT_MESSAGE)
			say_act(&acts.at[i], c, &a);
		else if (acts.at[i].kind == ACT_END)
			end_process(c);
		turn();
	}
	if (m->stopping) { /* "it is of another build": the supervisor starts all again */
		m->stopping = false;
		uv_timer_stop(&m->stop_timer);
	}
	start_all();
	arena_fini(&a);
	return 0;
}
