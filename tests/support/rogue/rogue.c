/* rogue.c - a role in the place of a real one, taken over by a stranger: it starts as all roles do, then does the deed that
 * the file "deed" beside its executable names. The integration tests put both beside copies of the real roles.
 *
 * The file has the deeds, the index of the process that does them, and the last incarnation that does; all others of this role
 * are honest: they become the executable of the same name in the directory "honest". The deeds begin when the test has made the
 * file "complete". */
#include "rogue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MASTER_FD 3
#define WAIT_MS   10000

enum role_id rogue_role;
unsigned rogue_index;
bool rogue_is_rash;
int rogue_master = MASTER_FD;
char rogue_key[65];

static uint64_t incarnation;
static const struct deed *deeds[16];
static size_t deeds_n;
static char complete[4200]; /* the path of the file that says that the relay is complete */
static unsigned closings;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct {
	int fd;
	uint64_t incarnation;
	bool is_new; /* no deed has had it */
} peers[ROLE_COUNT][64];

void tell(const char *format, ...)
{
	char line[500];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	dprintf(STDERR_FILENO, "rogue: %s\n", line);
}

/* ---- sending ---- */

static bool send_bytes(int to, struct str bytes, int pass, int flags)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes.p, bytes.n };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct pollfd room = { .fd = to, .events = POLLOUT };

	if (pass >= 0) {
		msg.msg_control = control.space;
		msg.msg_controllen = sizeof control.space;
		control.header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &pass, sizeof pass);
	}
	while (sendmsg(to, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
		if (errno != EAGAIN || flags)
			return false;
		if (poll(&room, 1, WAIT_MS) <= 0)
			return false;
	}
	return true;
}

static bool send_message(int to, enum msg_type type, uint64_t call, const void *m, int pass, int flags)
{
	struct buf b;
	bool sent;

	buf_init(&b, IPC_DATAGRAM_MAX);
	sent = ipc_encode(&b, type, call, m) && send_bytes(to, buf_view(&b), pass, flags);
	buf_fini(&b);
	return sent;
}

bool say(int fd, enum msg_type type, uint64_t call, const void *m, int pass)
{
	return send_message(fd, type, call, m, pass, 0);
}

bool say_now(int fd, enum msg_type type, uint64_t call, const void *m)
{
	return send_message(fd, type, call, m, -1, MSG_DONTWAIT);
}

bool say_bytes(int fd, struct str bytes, int pass)
{
	return send_bytes(fd, bytes, pass, 0);
}

/* ---- receiving ---- */

/* One datagram and its descriptor; 0: the end. */
static ssize_t receive(int from, char *room, size_t n, int *passed_out)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { room, n };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space
	};
	struct pollfd input = { .fd = from, .events = POLLIN };
	ssize_t got;

	*passed_out = -1;
	if (poll(&input, 1, from == MASTER_FD ? -1 : WAIT_MS) <= 0)
		return -1;
	got = recvmsg(from, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got > 0 && CMSG_FIRSTHDR(&msg))
		memcpy(passed_out, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof *passed_out);
	return got;
}

static uint32_t type_of(const char *datagram)
{
	uint32_t type;

	memcpy(&type, datagram, sizeof type);
	return type;
}

/* Who sends it is not known here: any of the roles that can. */
static const union ipc_message *decode(struct arena *a, struct str datagram, bool has_fd)
{
	enum msg_type type;
	union ipc_message *m;

	for (unsigned role = 0; role < ROLE_COUNT; role++)
		if (ipc_decode(a, datagram, (enum role_id)role, rogue_role, has_fd, &type, &m))
			return m;
	return NULL;
}

const union ipc_message *hear_with(int fd, enum msg_type type, int *passed_out)
{
	static char room[IPC_DATAGRAM_MAX];
	static struct arena a;
	ssize_t n;

	arena_reset(&a);
	while ((n = receive(fd, room, sizeof room, passed_out)) > 0) {
		if (type_of(room) == type)
			return decode(&a, str_make(room, (size_t)n), *passed_out >= 0);
		if (*passed_out >= 0)
			close(*passed_out);
	}
	return NULL;
}

const union ipc_message *hear(int fd, enum msg_type type)
{
	int passed;
	const union ipc_message *m = hear_with(fd, type, &passed);

	if (passed >= 0)
		close(passed);
	return m;
}

bool is_closed(int fd)
{
	char room[64];
	int passed;
	ssize_t n;

	while ((n = receive(fd, room, sizeof room, &passed)) > 0)
		if (passed >= 0)
			close(passed);
	return n == 0 || errno == ECONNRESET;
}

/* ---- peers ---- */

int rogue_peer(enum role_id role, unsigned index)
{
	int fd;

	pthread_mutex_lock(&lock);
	while (!peers[role][index].is_new && peers[role][index].fd <= 0)
		pthread_cond_wait(&changed, &lock);
	peers[role][index].is_new = false;
	fd = peers[role][index].fd;
	pthread_mutex_unlock(&lock);
	return fd;
}

/* master ends a role whose channels close six times within a short time. */
int rogue_again(enum role_id role, unsigned index)
{
	struct msg_peer_lost lost = { .role = role, .index = index, .reason = S("a deed") };

	if (++closings % 5 == 0 && !rogue_is_rash)
		nanosleep(&(struct timespec){ .tv_sec = 5, .tv_nsec = 200000000 }, NULL);
	pthread_mutex_lock(&lock);
	lost.incarnation = peers[role][index].incarnation;
	if (!peers[role][index].is_new && peers[role][index].fd > 0) {
		close(peers[role][index].fd);
		peers[role][index].fd = 0;
		pthread_mutex_unlock(&lock);
		say(rogue_master, MSG_peer_lost, 0, &lost, -1);
	} else {
		pthread_mutex_unlock(&lock);
	}
	return rogue_peer(role, index);
}

static void connected(const struct msg_connect *m, int fd)
{
	struct msg_hello hello = {
		.role = rogue_role, .index = rogue_index, .incarnation = incarnation, .table_hash = ipc_table_hash()
	};

	say(fd, MSG_hello, 0, &hello, -1);
	pthread_mutex_lock(&lock);
	peers[m->role][m->index].fd = fd;
	peers[m->role][m->index].incarnation = m->incarnation;
	peers[m->role][m->index].is_new = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

/* ---- master ---- */

static void *run_deed(void *unused)
{
	(void)unused;
	while (access(complete, F_OK) != 0)
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	for (size_t i = 0; i < deeds_n; i++) {
		deeds[i]->run();
		tell("%s done", deeds[i]->name);
	}
	return NULL;
}

/* Clients that come here are sent away, so that they try again: the next one perhaps comes to an honest process. */
static void *send_away(void *listener)
{
	struct pollfd input = { .fd = (int)(intptr_t)listener, .events = POLLIN };

	while (poll(&input, 1, -1) > 0) {
		int fd = accept(input.fd, NULL, NULL);

		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

static void leave_clients(int listener)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, send_away, (void *)(intptr_t)listener) != 0)
		abort();
}

static void answer(const char *datagram, const union ipc_message *m, int passed)
{
	pthread_t thread;

	switch (type_of(datagram)) {
	case MSG_configure:
		say(MASTER_FD, MSG_configured, m->call, &(struct msg_configured){ .generation = m->configure.generation }, -1);
		break;
	case MSG_apply:
		say(MASTER_FD, MSG_ready, 0, &(struct msg_ready){ .generation = m->apply.generation }, -1);
		if (pthread_create(&thread, NULL, run_deed, NULL) != 0)
			abort();
		break;
	case MSG_connect: connected(&m->connect, passed); return;
	case MSG_listener: leave_clients(passed); return;
	case MSG_ping: say(MASTER_FD, MSG_pong, m->call, &(struct msg_pong){ 0 }, -1); break;
	case MSG_stop: _exit(0);
	default: break;
	}
	if (passed >= 0)
		close(passed);
}

/* ---- start ---- */

static const struct deed *deed_find(const char *name)
{
	const struct deed *tables[] = { deeds_of_submission, deeds_of_senders, deeds_of_relay, deeds_of_others, deeds_of_all };

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		for (const struct deed *d = tables[i]; d->name; d++)
			if (strcmp(d->name, name) == 0)
				return d;
	return NULL;
}

/* Become the honest role, unless this is the process that does the deed. */
static void read_deed(char **argv)
{
	char path[4096], honest[4200], names[200] = "";
	unsigned index = 0, most = 0;
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
	char *base;
	FILE *f;

	path[n > 0 ? n : 0] = '\0';
	base = strrchr(path, '/') + 1;
	snprintf(honest, sizeof honest, "%.*shonest/%s", (int)(base - path), path, base);
	for (unsigned role = 0; role < ROLE_COUNT; role++)
		if (strcmp(base + strlen("posthouse-"), role_name((enum role_id)role)) == 0)
			rogue_role = (enum role_id)role;
	snprintf(complete, sizeof complete, "%.*scomplete", (int)(base - path), path);
	strcpy(base, "deed");
	f = fopen(path, "r");
	if (!f || fscanf(f, "%199s %u %u %64s", names, &index, &most, rogue_key) < 3)
		abort();
	fclose(f);
	for (char *name = strtok(names, ","); name; name = strtok(NULL, ","))
		if ((deeds[deeds_n++] = deed_find(name)) == NULL)
			abort();
	if (index != rogue_index || incarnation > most)
		execv(honest, argv);
}

int main(int argc, char **argv)
{
	struct msg_hello hello = { .table_hash = ipc_table_hash() };
	static char room[IPC_DATAGRAM_MAX];
	struct arena a = { 0 };
	int passed;
	ssize_t n;

	signal(SIGPIPE, SIG_IGN);
	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--incarnation") == 0)
			incarnation = strtoull(argv[i + 1], NULL, 10);
		if (strcmp(argv[i], "--index") == 0)
			rogue_index = (unsigned)strtoul(argv[i + 1], NULL, 10);
	}
	read_deed(argv);
	hello.role = rogue_role;
	hello.index = rogue_index;
	hello.incarnation = incarnation;
	say(MASTER_FD, MSG_hello, 0, &hello, -1);
	while ((n = receive(MASTER_FD, room, sizeof room, &passed)) > 0) {
		answer(room, decode(&a, str_make(room, (size_t)n), passed >= 0), passed);
		arena_reset(&a);
	}
	return 1;
}
