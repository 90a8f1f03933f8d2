/* peers.c - the other ends of the role's channels: plain sockets, so that anything can be sent. */
#include "acts.h"
#include "datagram.h"
#include "values.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PEERS_MAX 32
#define CALLS_MAX 64
#define WORKERS   2
#define CLIENTS   2

struct open_call {
	unsigned type;
	uint64_t number;
};

static struct peer {
	enum role_id role;
	unsigned index;
	int fd; /* -1: not connected, or closed */
	uint64_t incarnation;
	struct open_call calls[CALLS_MAX];
	size_t calls_n;
} peers[PEERS_MAX];

static unsigned peers_n;
static uint64_t incarnations = 2, calls_made;
static unsigned unanswered; /* calls that the role has not answered */
static bool answering;
unsigned master_configured, master_ready, goals;

unsigned world_peers_n(void)
{
	return peers_n;
}

enum role_id world_peer_role(unsigned peer)
{
	return peers[peer].role;
}

static void add_peer(enum role_id role, unsigned index)
{
	peers[peers_n++] = (struct peer){ .role = role, .index = index, .fd = -1 };
}

void peers_begin(void)
{
	add_peer(ROLE_MASTER, 0);
	for (unsigned role = ROLE_MASTER + 1; role < ROLE_CLI; role++)
		for (unsigned i = 0; roles_are_peers(role_case.role, (enum role_id)role) &&
				     i < (role_facts[role].instances == PER_WORKER ? WORKERS : 1);
		     i++)
			add_peer((enum role_id)role, i);
	for (unsigned i = 0; role_facts[role_case.role].socket == CONTROL_SOCKET && i < CLIENTS; i++)
		add_peer(ROLE_CLI, i);
}

/* ---- saying ---- */
static void say_bytes(struct peer *p, struct str datagram, int fd)
{
	for (int attempt = 0; attempt < 3 && p->fd >= 0; attempt++) {
		if (datagram_send(p->fd, datagram, fd) != -EAGAIN)
			return;
		world_turn(false);
	}
}

void peers_say_type(unsigned peer, enum msg_type type, uint64_t call, const void *m, int fd)
{
	struct buf b;

	buf_init(&b, IPC_DATAGRAM_MAX);
	ipc_encode(&b, type, call, m);
	say_bytes(&peers[peer], buf_view(&b), fd);
	buf_fini(&b);
}

static void say_hello(struct peer *p)
{
	struct msg_hello hello = {
		.role = p->role, .index = p->index, .incarnation = p->incarnation = ++incarnations, .table_hash = ipc_table_hash()
	};

	peers_say_type((unsigned)(p - peers), MSG_hello, 0, &hello, -1);
}

void peers_master(int fd)
{
	peers[0].fd = fd;
	say_hello(&peers[0]);
}

uint64_t peers_client_incarnation(void)
{
	for (unsigned i = 0; i < peers_n; i++)
		if (peers[i].role == ROLE_SUBMISSION)
			return peers[i].incarnation;
	return 0;
}

/* ---- opening and closing ---- */
static void open_client(struct peer *p)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	p->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	strcpy(to.sun_path, world_path("listen0"));
	if (connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0)
		abort();
	say_hello(p);
}

static void open_peer(struct peer *p)
{
	int ends[2];

	p->calls_n = 0;
	if (p->role == ROLE_CLI) {
		open_client(p);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		abort();
	p->fd = ends[0];
	say_hello(p);
	peers_say_type(0, MSG_connect, 0,
		       &(struct msg_connect){ .role = p->role, .index = p->index, .incarnation = incarnations }, ends[1]);
	close(ends[1]);
}

void peers_open(void)
{
	for (unsigned i = 1; i < peers_n; i++)
		if (peers[i].fd < 0 && (role_facts[role_case.role].calls | role_case.also) & 1u << peers[i].role)
			open_peer(&peers[i]);
}

void peers_close(unsigned peer)
{
	if (peer == 0 || peers[peer].fd < 0)
		return;
	close(peers[peer].fd);
	peers[peer].fd = -1;
	unanswered = 0;
}

void peers_end(void)
{
	for (unsigned i = 1; i < peers_n; i++)
		peers_close(i);
	peers[0].calls_n = unanswered = 0;
}

/* ---- calls of the role ---- */
/* The number of the oldest call that this reply answers; 0: there is none. */
static uint64_t take_call(struct peer *p, unsigned reply)
{
	for (size_t i = 0; i < p->calls_n; i++)
		if (ipc_call_type(p->calls[i].type)->reply == reply) {
			uint64_t number = p->calls[i].number;

			memmove(&p->calls[i], &p->calls[i + 1], (--p->calls_n - i) * sizeof *p->calls);
			return number;
		}
	return 0;
}

/* master is no stranger, but what it answers can come from outside: without a breach of the rules, which would end the role. */
static bool master_says(struct str datagram, bool has_fd)
{
	struct arena a = { 0 };
	union ipc_message *m;
	enum msg_type type;
	bool good = ipc_decode(&a, datagram, ROLE_MASTER, role_case.role, has_fd, &type, &m) &&
		    can_send(role_case.role, ROLE_MASTER, type);

	arena_fini(&a);
	return good;
}

/* What the peer says: a request gets a number, an answer that of the call. */
void peers_say(unsigned peer, struct str datagram, int fd)
{
	struct peer *p = &peers[peer];
	uint64_t call;
	uint32_t type;

	if (p->fd < 0 && peer > 0)
		open_peer(p);
	if (peer == 0 && !master_says(datagram, fd >= 0))
		return;
	if (datagram.n < sizeof type + sizeof call) {
		say_bytes(p, datagram, fd);
		return;
	}
	memcpy(&type, datagram.p, sizeof type);
	memcpy(&call, datagram.p + sizeof type, sizeof call);
	if (type < MSG_COUNT && call == 0 && ipc_is_reply(type))
		call = take_call(p, type);
	else if (call == 0)
		call = ++calls_made;
	if (type < MSG_COUNT)
		unanswered += ipc_call_type(type) != NULL;
	memcpy((char *)(uintptr_t)datagram.p + sizeof type, &call, sizeof call); /* the caller's buffer */
	say_bytes(p, datagram, fd);
}

void peers_answer(bool answer)
{
	answering = answer;
}

static struct message heard, answer;

static void answer_call(struct peer *p, unsigned request, uint64_t call)
{
	static struct buf b;
	unsigned reply = ipc_call_type(request)->reply;
	struct dice d = { 1 };
	struct arena a = { 0 };
	int fd = -1;

	if (!b.max)
		buf_init(&b, 1 << 20);
	buf_clear(&b);
	message_make(&answer, reply, true, &d, &a);
	answer.call = call;
	message_write(&answer, &b);
	if (message_types[reply].fd != FD_NONE)
		fd = memfd_create("answer", MFD_CLOEXEC);
	say_bytes(p, buf_view(&b), fd);
	if (fd >= 0)
		close(fd);
	arena_fini(&a);
}

/* ---- hearing ---- */
static void hear_call(struct peer *p)
{
	if (answering && p->calls_n < CALLS_MAX) {
		answer_call(p, heard.type, heard.call);
		return;
	}
	if (p->calls_n == CALLS_MAX)
		memmove(&p->calls[0], &p->calls[1], --p->calls_n * sizeof *p->calls);
	p->calls[p->calls_n++] = (struct open_call){ heard.type, heard.call };
}

/* What queue lets submission write to. */
static void write_there(int fd)
{
	static char bytes[8192];

	memset(bytes, 'a', sizeof bytes);
	if (pwrite(fd, bytes, sizeof bytes, 0) < 0)
		return;
}

/* A message that its receiver refuses costs the role its channel. */
static bool can_be_heard(const struct peer *p, struct str datagram, bool has_fd)
{
	struct arena a = { 0 };
	union ipc_message *m;
	enum msg_type type;
	bool good = ipc_decode(&a, datagram, role_case.role, p->role, has_fd, &type, &m);

	arena_fini(&a);
	return good;
}

/* Its first verdict is OK. */
static bool is_good(const struct message *m)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->at[i].field->kind == TOKEN_CLASS)
			return m->at[i].number >> 16 == OK;
	return false;
}

static void hear_datagram(struct peer *p, struct str datagram, bool has_fd)
{
	if (!message_read(&heard, datagram) || !can_be_heard(p, datagram, has_fd)) {
		fprintf(stderr, "the role says to %s what the table forbids: %s\n", role_name(p->role),
			ipc_message_name(heard.type));
		abort();
	}
	if (role_case.heard)
		role_case.heard(ipc_message_name(heard.type));
	goals += role_case.goal && strcmp(role_case.goal, ipc_message_name(heard.type)) == 0 && is_good(&heard);
	master_configured += heard.type == MSG_configured && heard.at[1].number >> 16 == OK;
	master_ready += heard.type == MSG_ready;
	if (heard.type != MSG_hello)
		recent_note(&heard);
	if (ipc_call_type(heard.type))
		hear_call(p);
	else if (ipc_is_reply(heard.type) && unanswered > 0)
		unanswered--;
}

static bool hear(struct peer *p)
{
	static char bytes[IPC_DATAGRAM_MAX + 1];
	struct datagram_extras extras;
	ssize_t n = datagram_receive(p->fd, bytes, sizeof bytes, &extras);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		if (p == peers)
			abort(); /* the role has closed its channel to master */
		peers_close((unsigned)(p - peers));
		return false;
	}
	if (extras.fd >= 0) {
		write_there(extras.fd);
		close(extras.fd);
	}
	hear_datagram(p, str_make(bytes, (size_t)n), extras.fd >= 0);
	return true;
}

bool peers_hear(void)
{
	bool any = false;

	for (unsigned i = 0; i < peers_n; i++)
		for (int k = 0; k < 1000 && peers[i].fd >= 0 && hear(&peers[i]); k++)
			any = true;
	return any;
}

bool peers_wait_for_role(void)
{
	return unanswered > 0;
}
