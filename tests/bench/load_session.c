/* load_session.c - one client: greeting, TLS, login, and message after message over the same or a new connection. */
#include "load.h"

#include "posthouse/arena.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define RECONNECT_MS 100

enum session_state {
	SESSION_CONNECTING,
	SESSION_GREETING,
	SESSION_EHLO,
	SESSION_STARTTLS,
	SESSION_HANDSHAKE,
	SESSION_AUTH,
	SESSION_HOLD,
	SESSION_MAIL,
	SESSION_RCPT,
	SESSION_DATA,
	SESSION_TEXT,
	SESSION_QUIT,
	SESSION_OVER, /* of this connection */
};

struct session {
	struct load *load;
	struct stream *st;
	uv_timer_t timer;
	enum session_state state;
	struct buf line;
	struct sockaddr_in source;
	bool encrypted, pipelining;
	bool has_message; /* `number` is ours to bring to an end */
	bool refused;     /* a command of this message was; what follows is only to get back in step */
	bool begun;       /* begun_us is set: with a connection for each message it counts from the connect */
	uint64_t number, begun_us;
};

static void connect_now(struct session *s);
static void session_end(struct session *s);

/* ---- commands ---- */

static void say(struct session *s, struct str command)
{
	stream_write(s->st, command);
}

static void say_ehlo(struct session *s)
{
	s->state = SESSION_EHLO;
	s->pipelining = false;
	say(s, S("EHLO load.example\r\n"));
}

/* AUTH PLAIN with an initial response (RFC 4616). */
static void say_auth(struct session *s)
{
	struct arena a = { 0 };
	struct str plain = arena_printf(&a, "%c%s%c%s", 0, s->load->user, 0, s->load->password);
	unsigned char *coded = arena_alloc(&a, plain.n * 2 + 8);

	EVP_EncodeBlock(coded, (const unsigned char *)plain.p, (int)plain.n);
	say(s, arena_printf(&a, "AUTH PLAIN %s\r\n", (const char *)coded));
	s->state = SESSION_AUTH;
	arena_fini(&a);
}

/* Leave in order; the answer is waited for, so that the server has seen all of it. */
static void say_quit(struct session *s)
{
	s->state = SESSION_QUIT;
	say(s, S("QUIT\r\n"));
}

/* Of this message: with --domains, messages go to one after the other. */
static const char *recipient(const struct session *s, struct arena *a)
{
	const struct load *l = s->load;
	const char *at = strchr(l->to, '@');

	if (l->domains == 0 || !at)
		return l->to;
	return arena_cstr(a, arena_printf(a, "%.*s@d%" PRIu64 ".%s", (int)(at - l->to), l->to, s->number % l->domains, at + 1));
}

/* The next message, or the end of the session. */
static void begin_message(struct session *s)
{
	struct load *l = s->load;
	struct arena a = { 0 };

	if (l->next == l->count) {
		say_quit(s);
		return;
	}
	s->number = l->next++;
	s->has_message = true;
	s->refused = false;
	if (!s->begun)
		s->begun_us = bench_now_us();
	s->begun = false;
	s->state = SESSION_MAIL;
	say(s, arena_printf(&a, "MAIL FROM:<%s>\r\n", l->from));
	if (s->pipelining)
		say(s, arena_printf(&a, "RCPT TO:<%s>\r\nDATA\r\n", recipient(s, &a)));
	arena_fini(&a);
}

static void say_text(struct session *s)
{
	struct load *l = s->load;
	struct arena a = { 0 };

	s->state = SESSION_TEXT;
	say(s, arena_printf(&a,
			    "From: <%s>\r\nTo: <%s>\r\nSubject: load %" PRIu64 "\r\nDate: %s\r\n"
			    "Message-ID: <%" PRIu64 ".%" PRIu64 "@load.example>\r\n" BENCH_HEADER "%" PRIu64 "-%" PRIu64
			    " %" PRIu64 "\r\n\r\n",
			    l->from, l->to, s->number, l->date, l->run, s->number, l->run, s->number, bench_now_us()));
	say(s, l->body);
	say(s, S(".\r\n"));
	arena_fini(&a);
}

/* ---- replies ---- */

static void after_login(struct session *s);
static void on_hold_over(uv_timer_t *timer);

static void session_fail(struct session *s, struct str why)
{
	load_failed(s->load, why);
	s->has_message = false;
	s->state = SESSION_OVER;
	stream_close(s->st);
}

/* The answer to EHLO is complete. */
static void after_ehlo(struct session *s)
{
	struct load *l = s->load;

	if (l->tls == LOAD_STARTTLS && !s->encrypted) {
		s->state = SESSION_STARTTLS;
		say(s, S("STARTTLS\r\n"));
	} else if (l->user) {
		say_auth(s);
	} else {
		after_login(s);
	}
}

static void after_login(struct session *s)
{
	if (s->load->hold_ms == 0) {
		begin_message(s);
		return;
	}
	s->state = SESSION_HOLD;
	load_held(s->load);
	uv_timer_start(&s->timer, on_hold_over, s->load->hold_ms, 0);
}

static void on_hold_over(uv_timer_t *timer)
{
	struct session *s = timer->data;

	if (s->state == SESSION_HOLD)
		say_quit(s);
}

/* The message is at its end: 250, or refused at some step. */
static void message_over(struct session *s, struct str reply)
{
	s->has_message = false;
	if (s->refused || reply.p[0] != '2') {
		if (!s->refused)
			load_refused(s->load, reply);
	} else {
		load_accepted(s->load, s->number, bench_now_us() - s->begun_us);
	}
	if (s->load->per_connection)
		say_quit(s);
	else
		begin_message(s);
}

/* A reply of the envelope: the next command follows, unless it went out already. A refused message is brought to its end. */
static void on_envelope_reply(struct session *s, struct str reply)
{
	struct arena a = { 0 };
	bool good = reply.p[0] == (s->state == SESSION_DATA ? '3' : '2');

	if (!good && !s->refused) {
		s->refused = true;
		load_refused(s->load, reply);
		if (!s->pipelining) {
			s->state = SESSION_TEXT;
			say(s, S("RSET\r\n"));
			return;
		}
	}
	if (s->state == SESSION_MAIL) {
		s->state = SESSION_RCPT;
		if (!s->pipelining)
			say(s, arena_printf(&a, "RCPT TO:<%s>\r\n", recipient(s, &a)));
	} else if (s->state == SESSION_RCPT) {
		s->state = SESSION_DATA;
		if (!s->pipelining)
			say(s, S("DATA\r\n"));
	} else if (!s->refused) {
		say_text(s);
	} else if (good) {
		s->state = SESSION_TEXT;
		say(s, S(".\r\n")); /* RFC 2920 section 3.1: a lone dot after 354 with nothing accepted */
	} else {
		message_over(s, reply);
	}
	arena_fini(&a);
}

static void start_tls(struct session *s, struct stream *st)
{
	struct str host = str_of(s->load->host);

	s->state = SESSION_HANDSHAKE;
	stream_start_client_tls(
		st, s->load->context,
		&(struct tls_client_options){ .names = { &host, 1 },
					      .demand = s->load->verify ? TLS_DEMAND_NAMES : TLS_DEMAND_NOTHING });
}

/* The last line of a reply. */
static void on_reply(struct session *s, struct str reply)
{
	switch (s->state) {
	case SESSION_GREETING:
	case SESSION_EHLO:
	case SESSION_STARTTLS:
	case SESSION_AUTH:
		if (reply.p[0] != '2') {
			session_fail(s, reply);
			return;
		}
		if (s->state == SESSION_GREETING) {
			say_ehlo(s);
		} else if (s->state == SESSION_EHLO) {
			after_ehlo(s);
		} else if (s->state == SESSION_AUTH) {
			after_login(s);
		} else {
			start_tls(s, s->st);
		}
		return;
	case SESSION_MAIL:
	case SESSION_RCPT:
	case SESSION_DATA: on_envelope_reply(s, reply); return;
	case SESSION_TEXT: message_over(s, reply); return;
	case SESSION_QUIT:
		s->state = SESSION_OVER;
		stream_finish(s->st);
		return;
	default: session_fail(s, reply); return; /* a 421 while we hold, or a server out of step */
	}
}

/* A line of a reply: only the last counts, but for what EHLO tells. */
static void on_line(struct session *s, struct str line)
{
	if (line.n < 3) {
		session_fail(s, S("the server does not speak SMTP"));
		return;
	}
	if (s->state == SESSION_EHLO && str_ieq(str_from(line, 4), S("PIPELINING")) && !s->load->lock_step)
		s->pipelining = true;
	if (line.n == 3 || line.p[3] != '-')
		on_reply(s, line);
}

/* ---- connection ---- */

static size_t on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct session *s = ctx;
	struct str rest = bytes;

	while (rest.n > 0 && s->state != SESSION_OVER && s->state != SESSION_HANDSHAKE) {
		size_t end = str_find(rest, '\n');

		if (end == rest.n) {
			if (!buf_add(&s->line, rest))
				session_fail(s, S("a line without an end"));
			return bytes.n;
		}
		if (s->line.n == 0) {
			on_line(s, str_trim(str_head(rest, end)));
		} else if (buf_add(&s->line, str_head(rest, end))) {
			struct buf whole = s->line;

			buf_init(&s->line, 4096);
			on_line(s, str_trim(buf_view(&whole)));
			buf_fini(&whole);
		} else {
			session_fail(s, S("a line too long"));
		}
		rest = str_from(rest, end + 1);
	}
	return bytes.n;
}

static void on_connect(void *ctx, struct stream *st, struct verdict v)
{
	struct session *s = ctx;

	if (v.class != OK) {
		session_fail(s, v.text);
		return;
	}
	if (s->load->tls == LOAD_IMPLICIT) {
		start_tls(s, st);
	} else {
		s->state = SESSION_GREETING;
	}
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct session *s = ctx;

	if (v.class != OK) {
		session_fail(s, v.text);
		return;
	}
	s->encrypted = true;
	if (s->load->tls == LOAD_IMPLICIT)
		s->state = SESSION_GREETING;
	else
		say_ehlo(s);
}

static void on_end(void *ctx, struct stream *st, struct str why)
{
	struct session *s = ctx;

	if (s->state != SESSION_QUIT)
		session_fail(s, why.n ? why : S("the server ended the connection"));
	else
		stream_close(st);
	s->state = SESSION_OVER;
}

static void on_reconnect(uv_timer_t *timer)
{
	connect_now(timer->data);
}

/* The connection is gone: another one as long as there is something to send; at once if all went well. */
static void on_closed(void *ctx, struct stream *st)
{
	struct session *s = ctx;
	struct load *l = s->load;

	s->st = NULL;
	if (l->next == l->count || l->hold_ms)
		session_end(s);
	else if (l->per_connection && l->failed == 0)
		connect_now(s);
	else
		uv_timer_start(&s->timer, on_reconnect, RECONNECT_MS, 0);
}

static const struct stream_ops session_ops = {
	.on_input = on_input, .on_tls = on_tls, .on_connect = on_connect, .on_end = on_end, .on_closed = on_closed
};

static void connect_now(struct session *s)
{
	buf_clear(&s->line);
	s->encrypted = false;
	s->state = SESSION_CONNECTING;
	s->begun = s->load->per_connection;
	s->begun_us = bench_now_us();
	s->st = stream_connect_from(&s->load->loop, s->load->sources > 0 ? (const struct sockaddr *)&s->source : NULL,
				    (const struct sockaddr *)&s->load->address, &session_ops, s);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct session *s = h->data;

	buf_fini(&s->line);
	free(s);
}

static void session_end(struct session *s)
{
	load_session_ended(s->load);
	uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

/* The address from which the session with this number comes. */
static void choose_source(struct session *s, uint64_t number)
{
	uint64_t n = s->load->sources > 0 ? number % s->load->sources : 0;

	s->source.sin_family = AF_INET;
	s->source.sin_addr.s_addr = htonl(0x7f420000 | (uint32_t)(n / 250) << 8 | (uint32_t)(n % 250 + 1));
}

void session_begin(struct load *l, uint64_t number)
{
	struct session *s = NEW(struct session);

	s->load = l;
	choose_source(s, number);
	buf_init(&s->line, 4096);
	uv_timer_init(&l->loop, &s->timer);
	s->timer.data = s;
	connect_now(s);
}
