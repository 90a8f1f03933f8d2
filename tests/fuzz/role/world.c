/* world.c - start of the role, its configuration, its loop and its clocks. The linker gives us what the role calls in these names:
 * main (ours is in main.c), uv_run (role_main() returns at once, and we run the loop), channel_new (master's channel is ours), confine
 * (a filter would be the fuzzer's too), _exit (no role ends because of what a peer says), clock_now_ms (time passes when we say so),
 * random_u64 (the same in each run), ipc_table_hash (kept, for many a hello), writev (the log goes nowhere), directory_unsafe (the queue is in memory). */
#include "keys.h"
#include "world.h"

#include "../../support/remove_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define YEAR_MS (365 * UINT64_C(86400000))

/* clang-format off */
int __real_main(int argc, char **argv);
int __real_uv_run(uv_loop_t *loop, uv_run_mode mode);
struct channel *__real_channel_new(uv_loop_t *loop, int fd, const struct channel_config *config);
uint64_t __real_clock_now_ms(void);
ssize_t __real_writev(int fd, const struct iovec *parts, int n);
int __wrap_uv_run(uv_loop_t *loop, uv_run_mode mode);
struct channel *__wrap_channel_new(uv_loop_t *loop, int fd, const struct channel_config *config);
void __wrap_confine(enum role_id role);
void __wrap__exit(int code);
uint64_t __wrap_clock_now_ms(void);
uint64_t __wrap_random_u64(void);
uint64_t __real_ipc_table_hash(void);
uint64_t __wrap_ipc_table_hash(void);
ssize_t __wrap_writev(int fd, const struct iovec *parts, int n);
const char *__wrap_directory_unsafe(const struct statfs *fs);
/* clang-format on */

static struct {
	bool begun, starting;
	char directory[64];
	int master; /* the role's end */
	uint64_t passed_ms, random;
	uv_loop_t *loop;
} world;

enum role_id world_role(void)
{
	return role_case.role;
}

bool world_has_outside(void)
{
	return role_case.has_outside;
}

/* ---- in the place of others ---- */
int __wrap_uv_run(uv_loop_t *loop, uv_run_mode mode)
{
	return world.starting ? 0 : __real_uv_run(loop, mode);
}

struct channel *__wrap_channel_new(uv_loop_t *loop, int fd, const struct channel_config *config)
{
	return __real_channel_new(loop, world.starting && config->peer == ROLE_MASTER ? world.master : fd, config);
}

void __wrap_confine(enum role_id role)
{
}

void __wrap__exit(int code)
{
	fprintf(stderr, "the role ends with %d because of what it was told\n", code);
	abort();
}

uint64_t __wrap_clock_now_ms(void)
{
	return __real_clock_now_ms() +
	       world.passed_ms % YEAR_MS; /* once a year it is set back: dates stay those that people have */
}

uint64_t __wrap_random_u64(void)
{
	return ++world.random * UINT64_C(0x9e3779b97f4a7c15);
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

const char *__wrap_directory_unsafe(const struct statfs *fs)
{
	return NULL;
}

/* The timers of libuv, and clock_mono_ms(). The fuzzer's own clock is the other one. */
int clock_gettime(clockid_t id, struct timespec *t)
{
	long result = syscall(SYS_clock_gettime, id, t);

	if (result == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
		t->tv_sec += (time_t)(world.passed_ms / 1000);
		t->tv_nsec += (long)(world.passed_ms % 1000) * 1000000;
		if (t->tv_nsec >= 1000000000) {
			t->tv_sec++;
			t->tv_nsec -= 1000000000;
		}
	}
	return (int)result;
}

/* Nobody outside of this machine hears anything. */
int connect(int fd, const struct sockaddr *to, socklen_t n)
{
	const struct sockaddr_in *four = (const struct sockaddr_in *)to;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)to;

	if ((to->sa_family == AF_INET && ntohl(four->sin_addr.s_addr) >> 24 != 127) ||
	    (to->sa_family == AF_INET6 && !IN6_IS_ADDR_LOOPBACK(&six->sin6_addr))) {
		errno = ENETUNREACH;
		return -1;
	}
	return (int)syscall(SYS_connect, fd, to, n);
}

/* ---- files ---- */
static void fail(const char *what)
{
	fprintf(stderr, "the world of the role cannot be made: %s: %s\n", what, strerror(errno));
	exit(1);
}

const char *world_path(const char *name)
{
	static char path[256];

	snprintf(path, sizeof path, "%s/%s", world.directory, name);
	return path;
}

static void write_file(const char *name, const char *text, size_t n)
{
	int fd = open(world_path(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, text, n) != (ssize_t)n)
		fail(name);
	close(fd);
}

/* The directory goes when this process has ended, in whatever way: a child waits for that. */
static void make_directory(void)
{
	const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
	int ends[2];
	char c;

	snprintf(world.directory, sizeof world.directory, "%s/posthouse-fuzz-XXXXXX", place);
	if (!mkdtemp(world.directory) || pipe2(ends, O_CLOEXEC) != 0)
		fail(world.directory);
	fcntl(ends[1], F_DUPFD_CLOEXEC, 100);
	if (fork() == 0) {
		for (int fd = 0; fd < 1024; fd++)
			if (fd != ends[0])
				close(fd);
		while (read(ends[0], &c, 1) < 0 && errno == EINTR)
			;
		remove_tree(world.directory);
		syscall(SYS_exit_group, 0);
	}
	close(ends[0]);
	close(ends[1]);
}

static const char account[] =
	"alice@example.org - SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$THoPhoTAuqyoQsK4dUHncUzgfD8fdmhsgKZhWVqNP5U=:"
	"7YiHMMi2OcXGRogub03Ek06JRZ9bkhTOdCzHa5iPLiQ= 1700000000000\n"; /* the password is secret */

static struct config *make_config(void)
{
	struct config_faults faults;
	struct config *c;
	char text[8192];
	const char *d = world.directory;

	mkdir(world_path("state"), 0700);
	mkdir(world_path("drop"), 0700);
	keys_make(world.directory);
	write_file("state/accounts", account, strlen(account));
	snprintf(
		text, sizeof text,
		"hostname = \"relay.example.org\"; postmaster = \"postmaster@example.org\"; state_dir = \"%s/state\"; run_as = \"root\";\n"
		"listen = ( { address = \"127.0.0.1\"; port = 587; tls = \"starttls\"; }, { address = \"127.0.0.1\"; port = 465; tls = "
		"\"implicit\"; },\n"
		"  { address = \"127.0.0.1\"; port = 588; tls = \"starttls\"; proxy_protocol = [ \"127.0.0.1/32\" ]; } );\n"
		"control = \"%s/control.sock\"; metrics = \"127.0.0.1:9587\";\n"
		"certificates = ( { chain = \"%s/chain.pem\"; key = \"%s/key.pem\"; } );\n"
		"auth = { realm = \"example.org\"; };\n"
		"senders = ( { user = \"alice\"; addresses = [ \"alice@example.org\", \"@sub.example.org\" ]; } );\n"
		"limits = { messages = [ \"50/1h\" ]; recipients = [ \"100/1h\" ]; bytes = [ \"1M/1h\" ]; new_recipients = [ \"40/1h\" ]; };\n"
		"devices = ( { networks = [ \"192.0.2.9/32\" ]; user = \"printer\"; sender = \"scan@example.org\"; recipients = [ \"*\" ]; } );\n"
		"local = { socket = \"%s/submit.sock\"; drop = \"%s/drop\"; users = ( { user = \"*\"; login = \"alice\"; } ); };\n"
		"rewrite = ( { sender = \"root@.lan\"; to = \"alice@example.org\"; headers = true; } );\n"
		"sign = ( { domain = \"example.org\"; selector = \"s1\"; key = \"%s/key.pem\"; } );\n"
		"upstreams = ( { name = \"next\"; host = \"127.0.0.1\"; port = %u; tls = \"none\"; },\n"
		"  { name = \"safe\"; host = \"127.0.0.1\"; port = %u; tls = \"starttls\"; tls_name = \"relay.example.org\"; ca = "
		"\"%s/chain.pem\"; login = \"me\"; password = \"secret\"; messages = [ \"5/1m\" ]; },\n"
		"  { name = \"token\"; host = \"127.0.0.1\"; port = %u; tls = \"starttls\"; tls_name = \"relay.example.org\"; ca = \"%s/chain.pem\"; rewrite_from = true; from_address = "
		"\"me@example.com\"; login = \"me\";\n"
		"    oauth = { provider = \"custom\"; client_id = \"c\"; client_secret = \"s\"; grant = \"client_credentials\"; scope = \"x\";\n"
		"      token_url = \"https://127.0.0.1:9/token\"; }; } );\n"
		"routes = ( { recipients = [ \"@example.com\" ]; via = [ \"safe\", \"token\" ]; }, { recipients = [ \"@example.info\" ]; via = "
		"[ \"mx\" ]; }, { via = [ \"next\" ]; } );\n"
		"queue = { retry = [ \"1m\", \"1h\" ]; lifetime = \"1d\"; min_free = \"0\"; keep_history = \"1h\"; max_messages = 2000; };\n"
		"delivery = { resolver = \"127.0.0.1@9\"; allow_networks = [ \"127.0.0.0/8\" ]; };\n"
		"submission = { workers = 2; }; doctor = { daily = false; }; log = { level = \"debug\"; };\n",
		d, d, d, d, d, d, d, outside_port(), outside_port(), d, outside_port(), d);
	write_file("posthouse.conf", text, strlen(text));
	c = config_load(world_path("posthouse.conf"), &faults);
	if (faults_serious(&faults)) {
		faults_print(&faults);
		exit(1);
	}
	return c;
}

/* ---- the loop ---- */
void world_turn(bool wait)
{
	unsigned left = wait ? role_case.patience_ms : 0;

	for (unsigned turns = 0; turns < 2000; turns++) {
		struct pollfd poll_fd = { .fd = uv_backend_fd(world.loop), .events = POLLIN };
		bool heard, busy;

		__real_uv_run(world.loop, UV_RUN_NOWAIT);
		heard = peers_hear();
		heard |= outside_hear();
		busy = world.loop->active_reqs.count > 0 || peers_wait_for_role();
		if (heard || uv_backend_timeout(world.loop) == 0 || poll(&poll_fd, 1, 0) > 0)
			continue;
		if (!busy || left == 0)
			break;
		poll(&poll_fd, 1, 1);
		left--;
	}
}

void world_pass(uint64_t ms)
{
	world.passed_ms += ms;
}

/* ---- the start ---- */
static void configure(const struct config *c)
{
	int fd = memfd_create("slice", MFD_CLOEXEC);
	struct buf slice;

	buf_init(&slice, 1 << 24);
	if (!config_slice_encode(c, role_case.role, &slice) || write(fd, buf_view(&slice).p, slice.n) != (ssize_t)slice.n)
		fail("slice");
	peers_say_type(0, MSG_configure, 1, &(struct msg_configure){ .generation = 1 }, fd);
	close(fd);
	buf_fini(&slice);
	for (int i = 0; i < 10000 && !master_configured; i++) {
		world_turn(false);
		usleep(1000);
	}
	if (!master_configured)
		fail("the role takes no configuration: POSTHOUSE_FUZZ_LOG=1 shows its log");
	peers_say_type(0, MSG_apply, 0, &(struct msg_apply){ .generation = 1 }, -1);
	for (int i = 0; i < 1000 && !master_ready; i++)
		world_turn(false);
	if (!master_ready)
		fail("the role is not ready: POSTHOUSE_FUZZ_LOG=1 shows its log");
}

static int listening(int family, unsigned number)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_un local = { .sun_family = AF_UNIX };
	int fd = socket(family, (family == AF_UNIX ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(local.sun_path, sizeof local.sun_path, "%s/listen%u", world.directory, number);
	if (bind(fd, family == AF_UNIX ? (struct sockaddr *)&local : (struct sockaddr *)&name,
		 family == AF_UNIX ? sizeof local : sizeof name) != 0 ||
	    listen(fd, 100) != 0)
		fail("listening socket");
	return fd;
}

/* Those that the row of the role in roles.def says. */
static void give_sockets(void)
{
	enum role_socket kind = role_facts[role_case.role].socket;
	unsigned n = kind == LISTENING_SOCKETS ? 3 : kind != NO_SOCKET;

	for (unsigned i = 0; i < n; i++) {
		int fd = listening(kind == CONTROL_SOCKET ? AF_UNIX : AF_INET, i);

		peers_say_type(0, MSG_listener, 0, &(struct msg_listener){ .listen = i }, fd);
		outside_door(fd);
	}
}

void world_begin(void)
{
	static char name[] = "role", option[] = "--incarnation", number[] = "2";
	char *arguments[] = { name, option, number, NULL };
	struct config *c;
	int ends[2];

	if (world.begun)
		return;
	world.begun = world.starting = true;
	make_directory();
	outside_begin();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
		fail("socketpair");
	world.master = ends[1];
	peers_begin();
	peers_master(ends[0]);
	c = make_config();
	__real_main(3, arguments);
	world.starting = false;
	world.loop = uv_default_loop();
	configure(c);
	config_free(c);
	give_sockets();
	world_turn(false);
}
