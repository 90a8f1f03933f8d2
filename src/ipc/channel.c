/* channel.c - one SOCK_SEQPACKET socket to a peer on the loop: sending in order (control before bulk), receiving, closing.
 * Calls and their answers: calls.c. */
#include "channel.h"
#include "datagram.h"

#include "posthouse/log.h"
#include "posthouse/secret.h"
#include "posthouse/units.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define CREDIT_BYTES       (2 * MIB)
#define DATAGRAMS_PER_TURN 64 /* then the loop does its other work */

/* A datagram that waits until the kernel can take it. */
struct datagram {
	struct list link;
	int fd; /* -1: none */
	bool bulk, counted;
	size_t n;
	char bytes[];
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void end(struct channel *ch, enum channel_end why, const char *reason);

static void watch(struct channel *ch)
{
	bool waiting = !list_empty(&ch->control) || !list_empty(&ch->bulk);

	uv_poll_start(&ch->poll, UV_READABLE | (waiting ? UV_WRITABLE : 0), on_poll);
}

struct channel *channel_new(uv_loop_t *loop, int fd, const struct channel_config *config)
{
	struct channel *ch = NEW(struct channel);
	struct msg_hello hello = { .role = config->self,
				   .index = config->self_index,
				   .incarnation = config->incarnation,
				   .table_hash = ipc_table_hash() };

	ch->config = *config;
	ch->fd = fd;
	ch->loop = loop;
	ch->rate.per_s = config->messages_per_s;
	list_init(&ch->control);
	list_init(&ch->bulk);
	list_init(&ch->calls);
	list_init(&ch->closing_link);
	list_init(&ch->granting_link);
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	ch->poll.data = ch->sweep.data = ch;
	if (uv_poll_init(loop, &ch->poll, fd) != 0)
		abort(); /* epoll accepts every socket: a refusal is a bug */
	uv_timer_init(loop, &ch->sweep);
	watch(ch);
	ipc_send_hello(ch, &hello, -1);
	return ch;
}

enum role_id channel_peer(const struct channel *ch)
{
	return ch->config.peer;
}

unsigned channel_peer_index(const struct channel *ch)
{
	return ch->config.peer_index;
}

uint64_t channel_peer_incarnation(const struct channel *ch)
{
	return ch->peer_incarnation;
}

bool channel_is_open(const struct channel *ch)
{
	return !ch->closing;
}

size_t channel_queued(const struct channel *ch)
{
	return ch->queued;
}

/* ---- credit ---- */
/* A closing channel always has credit: a sender that waits then tries, and the failure shows that the channel is
 * closed. */
bool channel_has_credit(const struct channel *ch)
{
	return ch->closing || ch->credit_used < CREDIT_BYTES;
}

void channel_wait_credit(struct channel *ch, struct credit_wait *w)
{
	struct credit_wait **end = &ch->waiting;

	channel_stop_waiting(w);
	while (*end)
		end = &(*end)->next;
	w->next = NULL;
	w->ch = ch;
	*end = w;
	if (channel_has_credit(ch))
		calls_defer_grant(ch);
}

void channel_stop_waiting(struct credit_wait *w)
{
	if (!w->ch)
		return;
	for (struct credit_wait **at = &w->ch->waiting; *at; at = &(*at)->next)
		if (*at == w) {
			*at = w->next;
			break;
		}
	w->ch = NULL;
	w->next = NULL;
}

void channel_grant(struct channel *ch)
{
	while (ch->waiting && channel_has_credit(ch)) {
		struct credit_wait *w = ch->waiting;

		channel_stop_waiting(w);
		w->on_credit(w->ctx);
	}
}

void channel_return_credit(struct channel *ch, size_t bytes)
{
	ch->credit_used -= bytes;
	if (ch->waiting && channel_has_credit(ch))
		calls_defer_grant(ch); /* from the loop: the caller of this function does not expect a callback now */
}

/* ---- sending ---- */
static void datagram_free(struct datagram *d)
{
	list_remove(&d->link);
	if (d->fd >= 0)
		close(d->fd);
	if (ipc_is_secret(str_make(d->bytes, d->n)))
		wipe(d->bytes, d->n);
	free(d);
}

static void queue_datagram(struct channel *ch, struct str bytes, int fd, bool bulk, bool counted)
{
	struct datagram *d = xmalloc(sizeof *d + bytes.n);

	d->fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	d->bulk = bulk;
	d->counted = counted;
	d->n = bytes.n;
	memcpy(d->bytes, bytes.p, bytes.n);
	list_append(bulk ? &ch->bulk : &ch->control, &d->link);
	ch->queued++;
	ch->bytes[bulk] += d->n;
	ch->descriptors += d->fd >= 0;
	if (fd >= 0 && d->fd < 0)
		channel_close(ch, "no descriptor left to pass one on");
	else if (ch->bytes[bulk] > (bulk ? BULK_BYTES_MAX : CONTROL_BYTES_MAX) || ch->descriptors > DESCRIPTORS_MAX)
		channel_exceeded(ch, "the peer does not read its messages");
	else
		watch(ch);
}

/* Send what waits, control first, until the kernel takes no more. */
static void flush(struct channel *ch)
{
	while (!ch->closing) {
		struct list *first = list_first(&ch->control);
		struct datagram *d;
		int error;

		if (!first)
			first = list_first(&ch->bulk);
		if (!first)
			break;
		d = CONTAINER_OF(first, struct datagram, link);
		error = datagram_send(ch->fd, str_make(d->bytes, d->n), d->fd);
		if (error == -EAGAIN)
			return;
		if (error) {
			end(ch, CHANNEL_PEER_GONE, "the peer has gone");
			return;
		}
		if (d->counted)
			channel_return_credit(ch, d->n);
		ch->queued--;
		ch->bytes[d->bulk] -= d->n;
		ch->descriptors -= d->fd >= 0;
		datagram_free(d);
	}
	if (!ch->closing)
		watch(ch);
}

/* Send the datagram now, or queue it. False: the channel is closed. */
static bool send_datagram(struct channel *ch, const struct message_type *t, bool is_call, uint64_t call, struct str bytes, int fd)
{
	bool bulk = t->flags & BULK, blocked = !list_empty(&ch->control) || (bulk && !list_empty(&ch->bulk)), counted;
	int error = blocked ? -EAGAIN : datagram_send(ch->fd, bytes, fd);

	if (error && error != -EAGAIN) {
		end(ch, CHANNEL_PEER_GONE, "the peer has gone");
		return false;
	}
	/* a call returns its credit when it is answered (calls.c), another bulk message when the kernel has taken it */
	counted = error && bulk && !is_call;
	if (counted)
		ch->credit_used += bytes.n;
	if (bulk && is_call)
		calls_hold_credit(call, bytes.n);
	if (error)
		queue_datagram(ch, bytes, fd, bulk, counted);
	return !ch->closing;
}

bool ipc_send(struct channel *ch, enum msg_type type, uint64_t call, const void *message, int fd)
{
	const struct message_type *t = &message_types[type];
	static struct buf b; /* one thread sends; the buffer is kept for the next datagram */
	bool sent = false;

	if (!ch || ch->closing)
		return false;
	if (!b.max) {
		buf_init(&b, IPC_DATAGRAM_MAX);
		buf_reserve(
			&b,
			IPC_DATAGRAM_MAX); /* it never moves, so it leaves no copies behind; what is not used is not there yet */
	}
	buf_clear(&b);
	if (!(t->from & 1u << ch->config.self) || !(t->to & 1u << ch->config.peer) || !ipc_encode(&b, type, call, message))
		log_error(NULL, "ipc.unsendable", kv("message", t->name), kv("peer", role_name(ch->config.peer)));
	else
		sent = send_datagram(ch, t, ipc_call_type(type) != NULL, call, buf_view(&b), fd);
	if (t->flags & SECRET)
		wipe(b.p, b.n);
	bounds_give(ch->open, type);
	return sent;
}

/* ---- receiving ---- */
static void other_build(struct channel *ch)
{
	end(ch, CHANNEL_OTHER_BUILD, "restart after upgrade: the peer's messages differ");
}

static void receive_hello(struct channel *ch, const struct msg_hello *m)
{
	if (m->table_hash != ipc_table_hash())
		other_build(ch);
	else if (m->role != ch->config.peer)
		channel_close(ch, "the peer is another role");
	else if (ch->config.peer_incarnation != 0 && m->incarnation != ch->config.peer_incarnation)
		channel_close(ch, "the peer is another process than master says");
	else
		ch->peer_incarnation = m->incarnation ? m->incarnation : 1;
}

/* One datagram: an answer, a message for a handler, or a breach of the rules. Owns fd. The arena gets no texts: they are views of
 * the datagram. */
static void receive(struct channel *ch, struct str datagram, int fd)
{
	enum msg_type type;
	union ipc_message *m;

	if (!ipc_decode(&ch->arena, datagram, ch->config.peer, ch->config.self, fd >= 0, &type, &m)) {
		if (fd >= 0)
			close(fd);
		if (ch->peer_incarnation)
			channel_close(ch, "the peer sent what the table forbids");
		else
			other_build(ch);
	} else if (type == MSG_hello || !ch->peer_incarnation) {
		if (fd >= 0)
			close(fd);
		if (type == MSG_hello && !ch->peer_incarnation)
			receive_hello(ch, &m->hello);
		else
			channel_close(ch, "the peer did not say hello first, and once");
	} else if (ipc_is_reply(type)) {
		calls_answer(ch, type, m, fd);
	} else if (ch->config.takes && !ch->config.takes(ch->config.ctx)) {
		if (fd >= 0)
			close(fd);
		channel_close(ch, "messages are not taken now");
	} else if (!bounds_take(ch->open, type, ch->config.peer, uv_now(ch->loop))) {
		if (fd >= 0)
			close(fd);
		channel_exceeded(ch, "too many requests without an answer");
	} else if (!ipc_dispatch(ch->config.handlers, ch->config.ctx, ch, type, m, fd)) {
		if (fd >= 0)
			close(fd);
		log_error(NULL, "ipc.unexpected", kv("message", ipc_message_name(type)), kv("peer", role_name(ch->config.peer)));
		channel_close(ch, "the peer sent a message that is not taken here");
	}
	arena_reset(&ch->arena);
}

/* Take one datagram; false when none is waiting or the channel has closed. */
static bool take(struct channel *ch)
{
	static char bytes[IPC_DATAGRAM_MAX + 1];
	struct datagram_extras extras;
	ssize_t n = datagram_receive(ch->fd, bytes, sizeof bytes, &extras);

	if (n == -EAGAIN)
		return false;
	if (n <= 0) {
		end(ch, CHANNEL_PEER_GONE, n == 0 ? "the peer has ended" : "the peer has gone");
		return false;
	}
	if (extras.many || extras.cut || n > IPC_DATAGRAM_MAX) {
		if (extras.fd >= 0)
			close(extras.fd);
		channel_close(ch, extras.many ? "the peer sent more than one descriptor" : "the peer sent too large a message");
		return false;
	}
	if (ch->rate.per_s > 0 && !bounds_rate(&ch->rate, uv_now(ch->loop))) {
		if (extras.fd >= 0)
			close(extras.fd);
		channel_exceeded(ch, "too many messages");
		return false;
	}
	if (extras.lost)
		log_error(NULL, "ipc.descriptor_lost", kv("peer", role_name(ch->config.peer)));
	receive(ch, str_make(bytes, (size_t)n), extras.fd);
	if (ipc_is_secret(str_make(bytes, (size_t)n)))
		wipe(bytes, (size_t)n);
	return !ch->closing;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *ch = poll->data;

	if (status < 0) {
		end(ch, CHANNEL_PEER_GONE, "the peer has gone");
		return;
	}
	if (events & UV_WRITABLE)
		flush(ch);
	if (events & UV_READABLE)
		for (int i = 0; i < DATAGRAMS_PER_TURN && !ch->closing && take(ch); i++)
			;
}

/* ---- closing ---- */
static void drop_queue(struct list *queue)
{
	LIST_EACH (i, queue)
		datagram_free(CONTAINER_OF(i, struct datagram, link));
}

static void end(struct channel *ch, enum channel_end why, const char *reason)
{
	if (ch->closing)
		return;
	ch->closing = true;
	ch->end = why;
	ch->reason = reason;
	uv_poll_stop(&ch->poll);
	uv_timer_stop(&ch->sweep);
	drop_queue(&ch->control);
	drop_queue(&ch->bulk);
	ch->queued = ch->bytes[0] = ch->bytes[1] = ch->descriptors = 0;
	calls_fail(ch);
}

void channel_close(struct channel *ch, const char *reason)
{
	end(ch, CHANNEL_BROKEN, reason);
}

void channel_exceeded(struct channel *ch, const char *bound)
{
	if (!ch->closing)
		log_warning(NULL, "ipc.exceeded", kv("peer", role_name(ch->config.peer)), kv("peer_index", ch->config.peer_index),
			    kv("reason", bound));
	channel_close(ch, bound);
}

enum channel_end channel_end(const struct channel *ch)
{
	return ch->end;
}

static void on_handle_closed(uv_handle_t *h)
{
	struct channel *ch = h->data;

	if (--ch->open_handles > 0)
		return;
	close(ch->fd);
	arena_fini(&ch->arena);
	free(ch);
}

void channel_free(struct channel *ch)
{
	list_remove(&ch->granting_link);
	ch->open_handles = 2;
	uv_close((uv_handle_t *)&ch->poll, on_handle_closed);
	uv_close((uv_handle_t *)&ch->sweep, on_handle_closed);
}
