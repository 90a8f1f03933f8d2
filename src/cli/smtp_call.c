/* smtp_call.c - see smtp_call.h. The parts are those of a delivery: the stream of net, the machine of the SMTP
 * client, the exchanges of sasl, and relay's table of replies. */
#include "smtp_call.h"

#include "reply_class.h"

#include "posthouse/config.h"
#include "posthouse/net.h"
#include "posthouse/sasl.h"
#include "posthouse/smtp_client.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define WITHIN_MS     30000
#define COMMAND_MS    300000 /* RFC 5321 4.5.3.2 */
#define DATA_MS       600000
#define PENDING_MAX   (256 * 1024) /* bytes of text that the server has not taken: no more is read */
#define PIECE         65536
#define ADDRESSES_MAX 4

struct attempt {
	struct arena *arena;
	const struct smtp_call *what;
	struct smtp_called *result;
	uv_loop_t loop;
	uv_timer_t timer;
	struct tls_context *tls;
	struct resolve *resolve;
	struct sockaddr_storage addresses[ADDRESSES_MAX];
	size_t addresses_n, next;
	struct stream *stream;
	struct smtp_client_config config;
	struct smtp_client *client;
	struct sasl_exchange *sasl;
	bool over;
	/* with a message */
	struct smtp_transaction part; /* for as many of its recipients as the server takes at once */
	size_t sent;                  /* recipients of earlier parts */
	bool in_text;                 /* the server takes the text, which has not ended */
	off_t text_at;                /* what of it was sent */
	uint64_t progress, limit_ms;
};

/* ---- the end ---- */

static struct verdict kept(struct attempt *t, struct verdict v)
{
	v.enhanced = arena_str(t->arena, v.enhanced);
	v.text = arena_str(t->arena, v.text);
	return v;
}

/* The first end counts. */
static void end(struct attempt *t, const char *at, struct verdict v, bool replied)
{
	if (t->over)
		return;
	t->over = true;
	t->result->verdict = kept(t, v);
	t->result->at = at;
	t->result->replied = replied;
	if (t->client)
		t->result->transcript = arena_str(t->arena, smtp_client_transcript(t->client));
	uv_close((uv_handle_t *)&t->timer, NULL);
	resolve_cancel(t->resolve);
	t->resolve = NULL;
	if (t->stream)
		stream_finish(t->stream);
}

static void on_time_over(uv_timer_t *timer)
{
	struct attempt *t = timer->data;

	end(t, t->client ? "the dialogue" : "the connection",
	    temp(421, S("4.4.1"),
		 arena_printf(t->arena, "no answer within %llu seconds", (unsigned long long)t->limit_ms / 1000)),
	    false);
}

/* With a message the wait begins again, but not for single bytes of a server (smtp_client.h). */
static void restart_timer(struct attempt *t)
{
	uint64_t progress = smtp_client_progress(t->client);

	if (t->over || !t->what->message || (progress == t->progress && !t->in_text))
		return;
	t->progress = progress;
	t->limit_ms = smtp_client_waits(t->client) == WAIT_DATA ? DATA_MS : COMMAND_MS;
	uv_timer_start(&t->timer, on_time_over, t->limit_ms, 0);
}

static void failed(struct attempt *t, const struct smtp_client_event *e)
{
	struct place place = { .step = e->step, .server = smtp_client_peer(t->client)->greeting };
	const char *at = e->fault == FAULT_AUTH ? "the login" : e->fault == FAULT_TLS ? "TLS" : "the dialogue";

	place.server = arena_printf(t->arena, "%.*s %.*s", STR_ARG(t->what->host), STR_ARG(place.server));
	t->result->hint = meaning_hint(meaning_pack(reply_class_session(place, e->fault, e->verdict, e->replied)));
	end(t, at, e->verdict, e->replied);
}

/* ---- the dialogue ---- */

static struct verdict take_step(struct attempt *t, const struct smtp_client_event *e, struct secret *response_out)
{
	const struct sasl_credentials c = {
		.login = t->what->login, .password = t->what->password, .host = t->what->host, .port = t->what->port
	};
	struct verdict v;

	if (e->first) {
		sasl_free(t->sasl);
		t->sasl = sasl_new(sasl_find(e->mechanism));
		return sasl_initial(t->sasl, &c, e->bytes, response_out);
	}
	v = sasl_step(t->sasl, &c, e->bytes, response_out);
	if (v.class == OK && sasl_work_left(t->sasl) != SASL_NO_WORK) {
		sasl_work(t->sasl);
		v = sasl_worked(t->sasl, response_out);
	}
	return v;
}

static void respond(struct attempt *t, const struct smtp_client_event *e)
{
	struct secret response = { 0 };
	struct verdict v = take_step(t, e, &response);

	if (v.class == OK)
		smtp_client_auth_response(t->client, secret_view(&response));
	else
		smtp_client_auth_abort(t->client, v);
	secret_fini(&response);
}

static void flush(struct attempt *t)
{
	struct buf *out = smtp_client_output(t->client);

	stream_write(t->stream, buf_view(out));
	buf_clear(out);
}

static void start_tls(struct attempt *t)
{
	struct str host = t->what->host;
	bool verify = t->what->tls != UPSTREAM_OPPORTUNISTIC;
	const struct tls_client_options options = { .names = { &host, 1 },
						    .demand = verify ? TLS_DEMAND_NAMES : TLS_DEMAND_NOTHING };

	stream_start_client_tls(t->stream, t->tls, &options);
}

/* ---- the message ---- */

static void unreadable(struct attempt *t)
{
	end(t, "the message", temp(451, S("4.3.0"), arena_printf(t->arena, "its text cannot be read: %s", strerror(errno))),
	    false);
	if (t->stream)
		stream_close(t->stream); /* half a text must not look complete */
}

static void write_text(struct attempt *t)
{
	char bytes[PIECE];

	while (t->in_text && !t->over && smtp_client_takes_text(t->client) && stream_pending(t->stream) < PENDING_MAX) {
		ssize_t n = pread(t->what->text_fd, bytes, sizeof bytes, t->text_at);

		if (n < 0) {
			unreadable(t);
			return;
		}
		if (n > 0) {
			smtp_client_text(t->client, str_make(bytes, (size_t)n));
		} else {
			t->in_text = false;
			smtp_client_text_end(t->client);
		}
		t->text_at += n;
		flush(t);
	}
}

static void quit(struct attempt *t)
{
	smtp_client_quit(t->client);
	flush(t);
}

/* RFC 5321 4.5.3.1.10 (and LIMITS RCPTMAX): a message for more recipients than the server takes at once is sent in parts. */
static void send_part(struct attempt *t)
{
	const struct smtp_transaction *whole = t->what->message;
	uint64_t most = smtp_client_peer(t->client)->rcptmax;
	size_t left = whole->recipients_n - t->sent;

	t->part = *whole;
	t->part.recipients += t->sent;
	t->part.recipients_n = most > 0 && most < left ? (size_t)most : left;
	t->text_at = 0;
	smtp_client_send(t->client, &t->part);
}

static void on_ready(struct attempt *t)
{
	const struct smtp_transaction *whole = t->what->message;

	if (!whole) {
		quit(t);
		end(t, "", ok(), true);
		return;
	}
	if (!t->result->recipients)
		t->result->recipients = ARENA_ARRAY(t->arena, struct verdict, whole->recipients_n);
	send_part(t);
}

/* Recipients of parts that were not sent are told the verdict of the last one. */
static void on_done(struct attempt *t, const struct smtp_client_event *e)
{
	size_t n = t->what->message->recipients_n;

	t->in_text = false;
	t->sent += t->part.recipients_n;
	if (t->sent < n && e->reusable)
		return;
	for (; t->sent < n; t->sent++)
		t->result->recipients[t->sent] = e->verdict.class == OK
							 ? temp(421, S("4.4.2"), S("the server has ended the session"))
							 : kept(t, e->verdict);
	quit(t);
	end(t, "the message", e->verdict, e->fault == FAULT_NONE);
}

static void on_event(struct attempt *t, const struct smtp_client_event *e)
{
	switch (e->type) {
	case CLIENT_STARTTLS: start_tls(t); break;
	case CLIENT_CHALLENGE: respond(t, e); break;
	case CLIENT_READY: on_ready(t); break;
	case CLIENT_TEXT: t->in_text = true; break;
	case CLIENT_RECIPIENT: t->result->recipients[t->sent + e->index] = kept(t, e->verdict); break;
	case CLIENT_DONE: on_done(t, e); break;
	case CLIENT_FAILED:
		quit(t);
		failed(t, e);
		break;
	}
}

static void advance(struct attempt *t)
{
	struct smtp_client_event e;

	while (!t->over && smtp_client_next(t->client, &e)) {
		flush(t);
		on_event(t, &e);
	}
	if (t->over)
		return;
	flush(t);
	write_text(t);
	restart_timer(t);
}

static void begin_dialogue(struct attempt *t, bool tls)
{
	const struct smtp_call *w = t->what;

	t->config = (struct smtp_client_config){ .hostname = w->hostname,
						 .use_starttls = w->tls == UPSTREAM_STARTTLS || w->tls == UPSTREAM_OPPORTUNISTIC,
						 .need_tls = w->tls == UPSTREAM_STARTTLS,
						 .tls = tls,
						 .mechanisms = w->login.n > 0 ? w->mechanisms : S("") };
	t->client = smtp_client_new(&t->config);
	advance(t);
}

/* ---- the connection ---- */

static void connect_next(struct attempt *t);

static size_t on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct attempt *t = ctx;

	if (t->client && !t->over) {
		smtp_client_feed(t->client, bytes);
		advance(t);
	}
	return bytes.n;
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct attempt *t = ctx;
	struct stream_tls_info tls = { .version = "" };

	if (v.class != OK) {
		end(t, "TLS", v, false);
		return;
	}
	stream_tls_info(st, &tls);
	t->result->tls = arena_printf(t->arena, "TLS %s", strncmp(tls.version, "TLSv", 4) == 0 ? tls.version + 4 : tls.version);
	if (!t->client) {
		begin_dialogue(t, true);
	} else {
		smtp_client_tls_started(t->client);
		advance(t);
	}
}

static void on_drain(void *ctx, struct stream *st)
{
	struct attempt *t = ctx;

	if (!t->in_text || t->over)
		return;
	write_text(t);
	restart_timer(t);
}

static void on_connect(void *ctx, struct stream *st, struct verdict v)
{
	struct attempt *t = ctx;

	if (v.class != OK && t->next < t->addresses_n)
		stream_close(st);
	else if (v.class != OK)
		end(t, "the connection", v, false);
	else if (t->what->tls == UPSTREAM_IMPLICIT)
		start_tls(t);
	else
		begin_dialogue(t, false);
}

static void on_end(void *ctx, struct stream *st, struct str why)
{
	struct attempt *t = ctx;

	if (t->client && !t->over) {
		smtp_client_closed(t->client, temp(421, S("4.4.2"), S("the server has closed the connection")), FAULT_CONNECTION);
		advance(t);
	}
	end(t, "the connection", temp(421, S("4.4.2"), S("the server has closed the connection")), false);
	stream_close(st);
}

static void on_closed(void *ctx, struct stream *st)
{
	struct attempt *t = ctx;

	t->stream = NULL;
	if (!t->over)
		connect_next(t);
}

static void connect_next(struct attempt *t)
{
	static const struct stream_ops ops = { .on_input = on_input,
					       .on_drain = on_drain,
					       .on_tls = on_tls,
					       .on_connect = on_connect,
					       .on_end = on_end,
					       .on_closed = on_closed };
	const struct sockaddr *address = (const struct sockaddr *)&t->addresses[t->next++];

	t->stream = stream_connect_from(&t->loop, NULL, address, &ops, t);
}

static void on_resolved(void *ctx, struct verdict v, const struct sockaddr_storage *addresses, size_t n)
{
	struct attempt *t = ctx;

	t->resolve = NULL;
	if (v.class != OK || n == 0) {
		end(t, "the name", v, false);
		return;
	}
	t->addresses_n = n < ADDRESSES_MAX ? n : ADDRESSES_MAX;
	memcpy(t->addresses, addresses, t->addresses_n * sizeof(addresses[0]));
	connect_next(t);
}

void smtp_call(struct arena *a, const struct smtp_call *what, struct smtp_called *result_out)
{
	struct attempt t = { .arena = a, .what = what, .result = result_out, .limit_ms = WITHIN_MS };
	struct verdict why;

	*result_out = (struct smtp_called){ .at = "TLS", .hint = "", .tls = S("") };
	t.tls = tls_client_context(what->ca_pem, a, &why);
	if (!t.tls) {
		result_out->verdict = why;
		return;
	}
	uv_loop_init(&t.loop);
	uv_timer_init(&t.loop, &t.timer);
	t.timer.data = &t;
	uv_timer_start(&t.timer, on_time_over, WITHIN_MS, 0);
	t.resolve = resolve_host(&t.loop, what->host, what->port, true, true, on_resolved, &t);
	uv_run(&t.loop, UV_RUN_DEFAULT);
	uv_loop_close(&t.loop);
	smtp_client_free(t.client);
	sasl_free(t.sasl);
	tls_context_unref(t.tls);
}
