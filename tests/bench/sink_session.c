/* sink_session.c - a connection to the sink: as much of SMTP's server side as a well-behaved client needs. */
#include "sink.h"

#include "posthouse/arena.h"
#include "posthouse/buf.h"

#include <stdlib.h>

#define MESSAGE_MAX ((size_t)128 << 20)

struct session {
	struct sink *sink;
	struct list link; /* in sink->sessions */
	struct stream *st;
	uv_timer_t delay;
	bool in_text, waiting, tls;
	struct buf in;   /* a command's line, or a message */
	size_t searched; /* of a message: how far the end was looked for */
};

static void on_delayed(uv_timer_t *timer);

static void say(struct session *s, struct str reply)
{
	stream_write(s->st, reply);
}

static void greet(struct session *s)
{
	say(s, S("220 sink.example ESMTP\r\n"));
}

/* A message with its final dot is there. */
static void on_message(struct session *s, struct str message)
{
	s->in_text = false;
	switch (sink_judge(s->sink, message)) {
	case SINK_TEMPFAIL: say(s, S("451 4.3.0 try again\r\n")); return;
	case SINK_DROP: stream_close(s->st); return;
	case SINK_TAKE: break;
	}
	if (s->sink->delay_ms == 0) {
		say(s, S("250 2.0.0 taken\r\n"));
		return;
	}
	s->waiting = true;
	uv_timer_start(&s->delay, on_delayed, s->sink->delay_ms, 0);
}

static void say_ehlo(struct session *s)
{
	say(s, S("250-sink.example\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n"));
	if (s->sink->context && !s->tls)
		say(s, S("250-STARTTLS\r\n"));
	say(s, S("250 ENHANCEDSTATUSCODES\r\n"));
}

static void on_command(struct session *s, struct str line)
{
	if (str_istarts(line, S("EHLO"))) {
		say_ehlo(s);
	} else if (str_istarts(line, S("MAIL")) || str_istarts(line, S("RCPT")) || str_istarts(line, S("RSET")) ||
		   str_istarts(line, S("NOOP")) || str_istarts(line, S("HELO"))) {
		say(s, S("250 2.0.0 ok\r\n"));
	} else if (str_ieq(line, S("DATA"))) {
		s->in_text = true;
		say(s, S("354 go ahead\r\n"));
	} else if (str_ieq(line, S("QUIT"))) {
		say(s, S("221 2.0.0 bye\r\n"));
		stream_finish(s->st);
	} else if (str_ieq(line, S("STARTTLS")) && s->sink->context && !s->tls) {
		say(s, S("220 2.0.0 go ahead\r\n"));
		stream_start_server_tls(s->st, s->sink->context);
		s->tls = true;
	} else {
		s->sink->commands_wrong++;
		say(s, S("500 5.5.1 what?\r\n"));
	}
}

/* Where the message in `bytes` ends, after its dot; 0 when it does not yet. An empty message is a dot alone. */
static size_t message_end(struct str bytes, size_t *searched)
{
	size_t at;

	if (str_starts(bytes, S(".\r\n")))
		return 3;
	at = *searched + str_search(str_from(bytes, *searched), S("\r\n.\r\n"));
	if (at < bytes.n)
		return at + 5;
	*searched = bytes.n > 4 ? bytes.n - 4 : 0;
	return 0;
}

/* Act on what is in `in`, unless an answer is being delayed. */
static void advance(struct session *s)
{
	bool encrypted = s->tls;
	size_t end;

	while (s->in.n > 0 && !s->waiting && s->tls == encrypted) {
		struct str view = buf_view(&s->in);

		if (s->in_text) {
			end = message_end(view, &s->searched);
			if (end == 0)
				return;
			on_message(s, str_head(view, end));
			s->searched = 0;
		} else {
			end = str_find(view, '\n');
			if (end == view.n)
				return;
			on_command(s, str_trim(str_head(view, end)));
			end++;
		}
		buf_consume(&s->in, end);
	}
	if (s->tls != encrypted)
		buf_clear(&s->in); /* RFC 3207 section 4.2 */
	if (s->in.n == 0)
		buf_release(&s->in);
}

/* Answer the final dot; what came behind it can be looked at then. */
static void on_delayed(uv_timer_t *timer)
{
	struct session *s = timer->data;

	s->waiting = false;
	if (!s->st)
		return;
	say(s, S("250 2.0.0 taken\r\n"));
	advance(s);
	stream_resume(s->st);
}

static size_t on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct session *s = ctx;

	if (s->waiting)
		return 0;
	if (!buf_add(&s->in, bytes))
		stream_close(st);
	else
		advance(s);
	return bytes.n;
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct session *s = ctx;

	if (v.class != OK)
		stream_close(st);
	else if (s->sink->implicit)
		greet(s);
}

static void on_end(void *ctx, struct stream *st, struct str why)
{
	stream_finish(st);
}

static void on_delay_closed(uv_handle_t *h)
{
	struct session *s = h->data;

	list_remove(&s->link);
	buf_fini(&s->in);
	free(s);
}

static void on_closed(void *ctx, struct stream *st)
{
	struct session *s = ctx;

	s->st = NULL;
	uv_close((uv_handle_t *)&s->delay, on_delay_closed);
}

static const struct stream_ops session_ops = { .on_input = on_input, .on_tls = on_tls, .on_end = on_end, .on_closed = on_closed };

void sink_session_begin(struct sink *k, int fd)
{
	struct session *s = NEW(struct session);

	s->sink = k;
	list_append(&k->sessions, &s->link);
	buf_init(&s->in, MESSAGE_MAX);
	uv_timer_init(&k->loop, &s->delay);
	s->delay.data = s;
	k->connections++;
	s->st = stream_accept(&k->loop, fd, &session_ops, s);
	if (!s->st) {
		uv_close((uv_handle_t *)&s->delay, on_delay_closed);
		return;
	}
	if (k->implicit) {
		s->tls = true;
		stream_start_server_tls(s->st, k->context);
	} else {
		greet(s);
	}
}

void sink_sessions_close(struct sink *k)
{
	LIST_EACH (i, &k->sessions) {
		struct session *s = CONTAINER_OF(i, struct session, link);

		if (s->st)
			stream_close(s->st);
	}
}
