/* submission.c - the role that meets clients: start, configuration, doors, peers, stop. Sessions: session.c; messages:
 * transaction.c. */
#include "submission.h"

#include "session.h"
#include "transaction.h"
#include "fair_share.h"

#include "posthouse/clock.h"
#include "posthouse/secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define STOP_TICK_MS 250

static const struct submission_ops submission_ops = {
	.advance = session_advance,
	.timeout = session_on_timeout,
	.answer = session_answer,
	.room = session_room,
	.turn = session_turn,
	.costly_turn = session_costly_turn,
};

static struct submission submission; /* doors can come before ops->start */

/* ---- configuration ---- */
static struct verdict configure(struct role *r, const struct config *c)
{
	static struct arena words; /* the verdict's text lives until the next attempt */
	struct verdict v = ok();

	arena_reset(&words);
	policy_unref(submission.next);
	submission.next = policy_new(c, &words, &v);
	/* The secret of tickets goes on from day to day in the TLS contexts: no copy of it stays behind. */
	wipe((void *)(uintptr_t)c->tls_ticket_secret.p, c->tls_ticket_secret.n);
	return submission.next != NULL ? ok() : v;
}

static void abandon(struct role *r)
{
	policy_unref(submission.next);
	submission.next = NULL;
}

/* ---- doors ---- */
static struct submission *the_submission(struct role *r)
{
	struct submission *sub = &submission;

	if (sub->role != NULL)
		return sub;
	sub->role = r;
	sub->ops = &submission_ops;
	sub->loop = role_loop(r);
	list_init(&sub->doors);
	list_init(&sub->sessions);
	list_init(&sub->transactions);
	list_init(&sub->waiting);
	uv_timer_init(sub->loop, &sub->sweep);
	uv_timer_init(sub->loop, &sub->stopping);
	sub->sweep.data = sub->stopping.data = sub;
	fair_share_init(sub);
	refusals_init(sub);
	sub->ids.worker = role_index(r);
	sub->next_session = random_u64() % 0x100000 * 0x1000; /* so that numbers in the log rarely repeat after a restart */
	return sub;
}

static void serve(struct door *door)
{
	door->listener = listener_serve(door->sub->loop, door->fd, session_accept, door);
	door->fd = -1;
}

static void on_listener(struct role *r, unsigned listen, int fd)
{
	struct submission *sub = the_submission(r);
	struct door *door;

	if (role_stopping(r)) {
		close(fd);
		return;
	}
	door = NEW(struct door);
	door->sub = sub;
	door->listen = listen;
	door->fd = fd;
	list_append(&sub->doors, &door->link);
	if (sub->policy != NULL)
		serve(door);
}

static void apply(struct role *r)
{
	struct submission *sub = the_submission(r);

	if (sub->next != NULL) {
		policy_unref(sub->policy);
		sub->policy = sub->next;
		sub->next = NULL;
	}
	LIST_EACH_OF (struct door, door, &sub->doors, link) {
		if (door->fd >= 0)
			serve(door);
	}
}

static struct verdict start(struct role *r)
{
	role_set_data(r, the_submission(r));
	raise_descriptor_limit();
	return ok();
}

static void peer_up(struct role *r, struct channel *ch)
{
	struct submission *sub = the_submission(r);

	if (channel_peer(ch) == ROLE_QUEUE) {
		sub->queue_generation++;
		sessions_on_queue_up(sub);
		transactions_on_queue_up(sub);
	}
	if (channel_peer(ch) == ROLE_LOGIN)
		sub->login_generation++;
}

static void handle_session_over(void *ctx, struct channel *ch, const struct msg_session_over *m, int fd)
{
	session_on_over(the_submission(ctx), m->session);
	ipc_send_session_ended(ch, &(struct msg_session_ended){ .call = m->call }, -1);
}

/* A queue that is away leaves the state as it was: mail waits for the next one, as without a cluster. Number 0: queue does not
 * know it, so far or again; what it was still holds. */
static void handle_node_is(void *ctx, struct channel *ch, const struct msg_node_is *m, int fd)
{
	struct submission *sub = the_submission(ctx);

	if (m->number > ID_CLUSTER_NODES_MAX || m->state > NODE_AWAY) {
		channel_close(ch, "a node that cannot be");
		return;
	}
	if (m->number != 0)
		id_source_join(&sub->ids, (unsigned)m->number, m->id_floor_ms);
	sub->node_state = (enum node_state)m->state;
}

/* Is it a connection, to a program of this machine? */
static bool is_local_socket(int fd)
{
	int domain = 0, type = 0, listens = 1;
	socklen_t n = sizeof domain;

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 && domain == AF_UNIX && type == SOCK_STREAM &&
	       !listens;
}

/* pickup brings one end of a socket, and says whose mail comes there. */
static void handle_local_client(void *ctx, struct channel *ch, const struct msg_local_client *m, int fd)
{
	struct submission *sub = the_submission(ctx);

	if (!is_local_socket(fd)) {
		close(fd);
		channel_close(ch, "a client that is no socket");
		return;
	}
	if (role_stopping(sub->role) || sub->policy == NULL || session_is_full(sub)) {
		close(fd);
		return;
	}
	if (sub->pickup_door == NULL) {
		sub->pickup_door = NEW(struct door);
		*sub->pickup_door = (struct door){ .sub = sub, .listen = LISTEN_LOCAL, .fd = -1 };
		list_append(&sub->doors, &sub->pickup_door->link);
	}
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	session_accept_for(sub->pickup_door, fd, m);
}

static void handle_session_page(void *ctx, struct channel *ch, const struct msg_session_page *m, int fd)
{
	sessions_list(the_submission(ctx), ch, m);
}

static void handle_session_close(void *ctx, struct channel *ch, const struct msg_session_close *m, int fd)
{
	sessions_close(the_submission(ctx), ch, m);
}

/* ---- stop ---- */
/* End the idle sessions; near the end of the grace time all of them. A message with a 250 is with queue; one without will be sent
 * again by its client. */
static void on_stop_tick(uv_timer_t *timer)
{
	struct submission *sub = timer->data;
	uint64_t now = clock_mono_ms(), left = now < sub->stop_at ? sub->stop_at - now : 0;

	LIST_EACH_OF (struct session, s, &sub->sessions, link) {
		if (left == 0)
			session_cut(s);
		else
			session_stop(s, left < 2000);
	}
	if (left == 0)
		LIST_EACH (i, &sub->transactions)
			transaction_on_deadline(CONTAINER_OF(i, struct transaction, link));
}

static void stop(struct role *r, uint64_t grace_ms)
{
	struct submission *sub = the_submission(r);

	LIST_EACH_OF (struct door, door, &sub->doors, link) {
		if (door->listener != NULL)
			listener_close(door->listener);
		else if (door->fd >= 0)
			close(door->fd);
		door->listener = NULL;
		door->fd = -1;
	}
	sub->stop_at = clock_mono_ms() + grace_ms * 9 / 10; /* master's patience ends with the whole of it */
	uv_timer_start(&sub->stopping, on_stop_tick, 0, STOP_TICK_MS);
}

/* ---- figures ---- */
static uint64_t count(const struct list *l)
{
	uint64_t n = 0;

	LIST_EACH (i, l)
		n++;
	return n;
}

/* Those of the network: the socket for programs of this machine does not make a relay ready. */
static uint64_t listeners(const struct submission *sub)
{
	uint64_t n = 0;

	LIST_EACH_OF (const struct door, door, &sub->doors, link)
		n += door->listener != NULL && door->listen != LISTEN_LOCAL;
	return n;
}

static void stats(struct role *r)
{
	const struct submission *sub = the_submission(r);

	role_stat(r, METRIC_SUBMISSION_LISTENERS, listeners(sub));
	role_stat(r, METRIC_SUBMISSION_SESSIONS, sub->sessions_n);
	role_stat(r, METRIC_SUBMISSION_SESSIONS_OPENED, sub->sessions_total);
	role_stat(r, METRIC_SUBMISSION_SESSIONS_FROM_GATEWAY, sub->sessions_from_gateway);
	role_stat(r, METRIC_SUBMISSION_SESSIONS_REFUSED, sub->sessions_refused);
	role_stat(r, METRIC_SUBMISSION_TRANSACTIONS, count(&sub->transactions));
	role_stat(r, METRIC_SUBMISSION_LOGINS, sub->logins);
	role_stat(r, METRIC_SUBMISSION_LOGINS_FAILED, sub->logins_failed);
	role_stat(r, METRIC_SUBMISSION_ACCEPTED, sub->accepted);
	role_stat(r, METRIC_SUBMISSION_ACCEPTED_BYTES, sub->accepted_bytes);
	role_stat(r, METRIC_SUBMISSION_REFUSED, sub->refused);
	role_tally(r, METRIC_SUBMISSION_REFUSALS, &sub->refusals_by_code);
	role_tally(r, METRIC_SUBMISSION_TLS, &sub->tls_versions);
	role_histogram(r, METRIC_SUBMISSION_ACCEPT_TIME, &sub->accept_time);
	for (size_t i = 0; sub->policy && i < sub->policy->certificates_n; i++)
		role_stat_of(r, METRIC_SUBMISSION_CERTIFICATE, sub->policy->certificates[i].path,
			     sub->policy->certificates[i].expires_at, S(""));
}

int main(int argc, char **argv)
{
	/* master is the frame's to answer, as are the console's questions for figures */
	static const struct ipc_handlers handlers = { .session_over = handle_session_over,
						      .node_is = handle_node_is,
						      .local_client = handle_local_client,
						      .session_page = handle_session_page,
						      .session_close = handle_session_close };
	static const struct role_ops ops = {
		.id = ROLE_SUBMISSION,
		.start = start,
		.configure = configure,
		.apply = apply,
		.abandon = abandon,
		.peer_up = peer_up,
		.listener = on_listener,
		.stop = stop,
		.stats = stats,
		.handlers = &handlers,
	};

	return role_main(argc, argv, &ops);
}
