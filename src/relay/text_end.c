/* text_end.c - the end of a text: from then on only the next hop knows the outcome.
 *
 * In a cluster the end must not reach the next hop behind the horizon (horizon.h). Behind a next hop that reads nothing, a dot
 * would wait in the kernel, and leave at any time later. So it is written only when all bytes before it have left this machine,
 * and every chunk before the last one was answered. And where the network loses the dot, the kernel does not repeat it for
 * ever: the connection breaks soon after the horizon, and the outcome is unknown. */
#include "connection.h"
#include "delivery.h"
#include "relay.h"

#include "posthouse/clock.h"
#include "posthouse/crash.h"

enum {
	LOOK_FIRST_MS = 1, /* the pauses between two looks at the kernel's queue: each is twice the one before, … */
	LOOK_MAX_MS = 128, /* … up to this */
	LATE_MS = 4000,    /* a dot can arrive so long after the horizon, which is 5 s before the node can be declared dead */
};

static void on_look(uv_timer_t *timer);

static void write_end(struct connection *c)
{
	crash_point("relay.before_text_end");
	smtp_client_text_end(c->client);
}

void text_end_begin(struct connection *c)
{
	if (c->delivery->epoch == 0) {
		write_end(c);
		return;
	}
	c->transfer.ending = true;
	c->transfer.look_ms = LOOK_FIRST_MS;
	connection_flush(c);
	uv_timer_start(&c->look, on_look, 0, 0);
}

/* Another node can have the mail already: the next hop must not get a whole message. */
static void close_without_end(struct connection *c)
{
	const struct horizon *h = &c->relay->horizon;
	struct delivery *d = c->delivery;

	log_warning(&c->log, "delivery.past_horizon", kv("lease", d->lease), kv("remote", c->remote), kv("epoch", d->epoch),
		    kv("horizon_epoch", h->epoch));
	c->relay->horizon_closed++;
	d->past_horizon = true;
	connection_break(c, temp(421, S("4.3.2"), S("broken off: this node is perhaps no member of its cluster any more")),
			 FAULT_CONNECTION);
}

void text_end_go_on(struct connection *c)
{
	struct transfer *t = &c->transfer;
	uint64_t now = clock_boot_ms();

	if (!t->ending)
		return;
	if (!smtp_client_nears_end(c->client)) {
		connection_flush(c);
		return; /* an answer comes */
	}
	if (stream_pending(c->stream) > 0)
		return; /* the stream says when it is empty */
	if (stream_unsent(c->stream) > 0) {
		uv_timer_start(&c->look, on_look, t->look_ms, 0);
		t->look_ms = t->look_ms < LOOK_MAX_MS ? 2 * t->look_ms : LOOK_MAX_MS;
		return;
	}
	t->ending = false;
	uv_timer_stop(&c->look);
	if (horizon_is_past(&c->relay->horizon, c->delivery->epoch, now)) {
		close_without_end(c);
		return;
	}
	stream_limit_silence(c->stream, c->relay->horizon.boottime_ms - now + LATE_MS);
	write_end(c);
	c->relay->ops->advance(c);
}

void text_end_over(struct connection *c)
{
	if (c->delivery->epoch > 0)
		stream_limit_silence(c->stream, 0);
}

static void on_look(uv_timer_t *timer)
{
	struct connection *c = timer->data;

	if (c->state == CONNECTION_BUSY)
		text_end_go_on(c);
}
