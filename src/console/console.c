/* console.c - takes the requests of administrators. It checks who the client is, forwards each request to the role that can
 * answer it, and gives the answer back. It decides nothing else. */
#include "posthouse/clock.h"
#include "posthouse/log.h"
#include "posthouse/role.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLIENTS_MAX     32
#define ACCEPT_PAUSE_MS 1000
#define REFUSED_LOG_MS  60000
#define ADMIN_GROUP     "posthouse-admin"
#define GROUPS_MAX      65536 /* Linux's NGROUPS_MAX */

struct console {
	struct role *role;
	uv_poll_t listener;
	uv_timer_t pause;
	int listener_fd;
	bool listening;
	uint64_t last_client;
	struct {
		struct channel *ch; /* NULL: the place is free */
		uint64_t number;
	} clients[CLIENTS_MAX];
};

/* A request that was forwarded. The client can leave before the answer comes. */
struct request {
	struct console *console;
	unsigned place;
	uint64_t client; /* the number of the client: another client can have the same place when the answer comes */
	uint64_t call;
};

static struct request *request_new(struct console *c, struct channel *ch, uint64_t call)
{
	struct request *q = NEW(struct request);

	*q = (struct request){
		.console = c, .place = channel_peer_index(ch), .client = c->clients[channel_peer_index(ch)].number, .call = call
	};
	return q;
}

/* The client's channel, NULL when it has left; frees the request. */
static struct channel *request_done(struct request *q, uint64_t *call_out)
{
	bool there = q->console->clients[q->place].number == q->client;
	struct channel *ch = there ? q->console->clients[q->place].ch : NULL;

	*call_out = q->call;
	free(q);
	return ch;
}

/* For numbers that are no role, the answer is that the role is away. */
static enum role_id role_with_stats(const struct msg_stats *m)
{
	return m->role < ROLE_COUNT && role_facts[ROLE_CONSOLE].calls & 1u << m->role ? (enum role_id)m->role : ROLE_CLI;
}

/* request, reply, and the role that answers, with its index */
#define FORWARDED(X)                                                                                                             \
	X(account_change, account_changed, ROLE_LOGIN, 0)                                                                        \
	X(account_page, accounts, ROLE_LOGIN, 0)                                                                                 \
	X(session_page, sessions, ROLE_SUBMISSION, (unsigned)m->worker)                                                          \
	X(session_close, sessions_closed, ROLE_SUBMISSION, (unsigned)m->worker)                                                  \
	X(queue_page, queue_rows, ROLE_QUEUE, 0)                                                                                 \
	X(queue_alter, queue_altered, ROLE_QUEUE, 0)                                                                             \
	X(queue_summary, queue_summed, ROLE_QUEUE, 0)                                                                            \
	X(queue_show, queue_shown, ROLE_QUEUE, 0)                                                                                \
	X(queue_text, queue_text_is, ROLE_QUEUE, 0)                                                                              \
	X(queue_import, queue_imported, ROLE_QUEUE, 0)                                                                           \
	X(queue_backup, queue_backed_up, ROLE_QUEUE, 0)                                                                          \
	X(test_message, test_message_queued, ROLE_QUEUE, 0)                                                                      \
	X(find, found, ROLE_QUEUE, 0)                                                                                            \
	X(trace, traced, ROLE_QUEUE, 0)                                                                                          \
	X(reached, reached_are, ROLE_QUEUE, 0)                                                                                   \
	X(limits_page, limits_rows, ROLE_QUEUE, 0)                                                                               \
	X(limits_reset, limits_were_reset, ROLE_QUEUE, 0)                                                                        \
	X(node_list, nodes_are, ROLE_QUEUE, 0)                                                                                   \
	X(node_order, node_ordered, ROLE_QUEUE, 0)                                                                               \
	X(upstream_test, upstream_tested, ROLE_RELAY, 0)                                                                         \
	X(upstream_sign_in, upstream_signed_in, ROLE_VAULT, 0)                                                                   \
	X(tls_look, tls_looked, ROLE_RELAY, 0)                                                                                   \
	X(sts_find, sts_found, ROLE_TLSPOLICY, 0)                                                                                \
	X(tls_report_show, tls_report_shown, ROLE_TLSPOLICY, 0)                                                                  \
	X(tls_report_list, tls_report_listed, ROLE_TLSPOLICY, 0)                                                                 \
	X(dkim_sample, dkim_sampled, ROLE_VAULT, 0)                                                                              \
	X(status, status_is, ROLE_MASTER, 0)                                                                                     \
	X(reload, reloaded, ROLE_MASTER, 0)

/* Two functions per kind of request: one forwards the request, one gives the answer back. Only the number of the call changes. */
#define FORWARD(request, reply, role_id, index)                                                                                  \
	static void on_##request##_answered(void *ctx, struct verdict v, const struct msg_##reply *m, int fd)                    \
	{                                                                                                                        \
		struct msg_##reply answer = { .verdict = v };                                                                    \
		uint64_t call;                                                                                                   \
		struct channel *ch = request_done(ctx, &call);                                                                   \
                                                                                                                                 \
		if (m)                                                                                                           \
			answer = *m;                                                                                             \
		answer.call = call;                                                                                              \
		ipc_send_##reply(ch, &answer, -1);                                                                               \
	}                                                                                                                        \
	static void forward_##request(void *ctx, struct channel *ch, const struct msg_##request *m, int fd)                      \
	{                                                                                                                        \
		struct console *c = ctx;                                                                                         \
                                                                                                                                 \
		ipc_call_##request(role_peer(c->role, role_id, index), m, fd, on_##request##_answered,                           \
				   request_new(c, ch, m->call));                                                                 \
		if (fd >= 0)                                                                                                     \
			close(fd);                                                                                               \
	}
#define HANDLER(request, ...) .request = forward_##request,

FORWARDED(FORWARD)
FORWARD(stats, stats_are, role_with_stats(m), (unsigned)m->index)

static void take_stats(void *ctx, struct channel *ch, const struct msg_stats *m, int fd)
{
	struct console *c = ctx;

	if (m->role == ROLE_CONSOLE)
		figures_send(role_figures(c->role), ch, m->call);
	else
		forward_stats(ctx, ch, m, fd);
}

static const struct ipc_handlers client_handlers = { FORWARDED(HANDLER).stats = take_stats };

/* ---- clients ---- */
/* Looked up at the start: later no file can be opened. */
static struct {
	bool exists;
	gid_t gid;
} admins;

/* Is ADMIN_GROUP the primary group of the process, or one of its supplementary groups? */
static bool is_admin(int fd, gid_t first)
{
	static gid_t further[GROUPS_MAX];
	socklen_t n = sizeof further;

	if (!admins.exists || admins.gid == first)
		return admins.exists;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, further, &n) != 0)
		return false;
	for (size_t i = 0; i < n / sizeof further[0]; i++)
		if (further[i] == admins.gid)
			return true;
	return false;
}

/* One line per minute for a user who tries again and again. */
static void log_refusal(const struct ucred *who)
{
	static uint64_t logged_mono;
	static uid_t logged_uid;

	if (logged_mono && logged_uid == who->uid && clock_mono_ms() - logged_mono < REFUSED_LOG_MS)
		return;
	logged_mono = clock_mono_ms();
	logged_uid = who->uid;
	log_warning(NULL, "console.refused", kv("uid", (unsigned)who->uid), kv("pid", (int)who->pid));
}

/* Everybody can connect; root, the user of this process and members of ADMIN_GROUP are served. The kernel says who the client
 * is. */
static bool is_allowed(int fd)
{
	struct ucred who;
	socklen_t n = sizeof who;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) != 0)
		return false;
	if (who.uid == 0 || who.uid == geteuid() || is_admin(fd, who.gid))
		return true;
	log_refusal(&who);
	return false;
}

static void on_client_closed(void *ctx, struct channel *ch, const char *reason)
{
	struct console *c = ctx;

	log_debug(NULL, "console.left", kv("reason", reason));
	c->clients[channel_peer_index(ch)].ch = NULL;
	channel_free(ch);
}

static void add_client(struct console *c, int fd)
{
	struct channel_config config = { .self = ROLE_CONSOLE,
					 .peer = ROLE_CLI,
					 .incarnation = role_incarnation(c->role),
					 .handlers = &client_handlers,
					 .on_closed = on_client_closed,
					 .ctx = c };
	unsigned i = 0;

	while (i < CLIENTS_MAX && c->clients[i].ch)
		i++;
	if (i == CLIENTS_MAX || !is_allowed(fd)) {
		close(fd);
		return;
	}
	config.peer_index = i;
	c->clients[i].number = ++c->last_client;
	c->clients[i].ch = channel_new(role_loop(c->role), fd, &config);
}

static void on_connection(uv_poll_t *poll, int status, int events);

static void on_pause_over(uv_timer_t *timer)
{
	struct console *c = timer->data;

	uv_poll_start(&c->listener, UV_READABLE, on_connection);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct console *c = poll->data;
	int fd = accept4(c->listener_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		add_client(c, fd);
	else if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) {
		log_warning(NULL, "console.accept_failed", kv("error", strerror(errno)));
		uv_poll_stop(poll); /* the client still waits in the queue of the socket: without the pause the loop would spin */
		uv_timer_start(&c->pause, on_pause_over, ACCEPT_PAUSE_MS, 0);
	}
}

static void on_listener(struct role *r, unsigned listen, int fd)
{
	struct console *c = role_data(r);

	if (c->listening) {
		close(fd);
		return;
	}
	c->listening = true;
	c->listener_fd = fd;
	c->listener.data = c->pause.data = c;
	uv_timer_init(role_loop(r), &c->pause);
	uv_poll_init(role_loop(r), &c->listener, fd);
	uv_poll_start(&c->listener, UV_READABLE, on_connection);
}

static struct verdict start(struct role *r)
{
	static struct console console;
	struct group *group = getgrnam(ADMIN_GROUP);

	if (group) {
		admins.exists = true;
		admins.gid = group->gr_gid;
	}
	console.role = r;
	role_set_data(r, &console);
	return ok();
}

static void stop(struct role *r, uint64_t grace_ms)
{
	struct console *c = role_data(r);

	if (c->listening) {
		uv_timer_stop(&c->pause);
		uv_poll_stop(&c->listener);
	}
}

int main(int argc, char **argv)
{
	static const struct ipc_handlers none;
	static const struct role_ops ops = {
		.id = ROLE_CONSOLE, .start = start, .listener = on_listener, .stop = stop, .handlers = &none
	};

	return role_main(argc, argv, &ops);
}
