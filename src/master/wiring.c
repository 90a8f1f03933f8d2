/* wiring.c - connects roles that call each other, replaces a channel that has closed, and hands listening sockets to roles. */
#include "master.h"

#include "posthouse/clock.h"
#include "posthouse/log.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define REWIRE_MS       200
#define REWIRE_QUICK_MS 5000
#define REWIRES_MAX     5

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

void child_wire(struct child *c)
{
	struct master *m = c->master;

	for (size_t i = 0; i < m->children_n; i++)
		if (m->children[i].state == CHILD_READY && roles_are_peers(c->role, m->children[i].role) && &m->children[i] != c)
			connect_pair(c, &m->children[i]);
}

/* Of the two ends of a channel, the role that starts later: it builds on the other one, and is nearer to strangers. */
static struct child *more_exposed(struct child *one, struct child *other)
{
	return role_facts[one->role].start > role_facts[other->role].start ? one : other;
}

static void on_rewire(uv_timer_t *timer)
{
	struct child *c = timer->data, *peer = c->lost, *exposed = more_exposed(c, peer);
	uint64_t now = clock_mono_ms();

	c->lost = NULL;
	/* when one of them has ended meanwhile, its next process gets its channels anyway */
	if (c->master->stopping || c->state != CHILD_READY || peer->state != CHILD_READY ||
	    peer->incarnation != c->lost_incarnation)
		return;
	exposed->rewires = now - exposed->rewired_mono < REWIRE_QUICK_MS ? exposed->rewires + 1 : 0;
	exposed->rewired_mono = now;
	if (exposed->rewires > REWIRES_MAX) {
		exposed->rewires = 0;
		child_kill(exposed, SIGKILL, "its channels close again and again");
		return;
	}
	log_warning(NULL, "role.rewired", kv("one", role_name(c->role)), kv("other", role_name(peer->role)));
	connect_pair(c, peer);
}

/* Can this role have had a channel to the peer's process with this incarnation? */
static bool could_have_lost(const struct child *c, const struct child *peer, uint64_t incarnation)
{
	return peer && peer != c && roles_are_peers(c->role, peer->role) && incarnation <= c->master->last_incarnation;
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
		return; /* the other end has reported it, or the peer has been restarted */
	c->lost = peer;
	c->lost_incarnation = m->incarnation;
	uv_timer_start(&c->rewire, on_rewire, REWIRE_MS, 0);
}

/* A role gets its listening sockets after its peers, so that the first client meets a complete relay. */
void child_give_sockets(struct child *c)
{
	struct master *m = c->master;

	if (role_facts[c->role].socket == CONTROL_SOCKET)
		ipc_send_listener(c->ch, &(struct msg_listener){ 0 }, m->control.fd);
	for (size_t i = 0; role_facts[c->role].socket == METRICS_SOCKETS && i < m->metrics_n; i++)
		ipc_send_listener(c->ch, &(struct msg_listener){ .listen = (uint64_t)i }, m->metrics_fds[i]);
	if (role_facts[c->role].socket != LISTENING_SOCKETS || !m->listeners)
		return;
	for (size_t i = 0; i < m->sockets_n; i++)
		ipc_send_listener(c->ch, &(struct msg_listener){ .listen = m->listener_of[i] },
				  m->listeners[c->index * m->config->listen_n * 2 + i]);
	if (m->local.fd >= 0)
		ipc_send_listener(c->ch, &(struct msg_listener){ .listen = LISTEN_LOCAL }, m->local.fd);
}
