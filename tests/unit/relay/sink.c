/* sink.c */
#include "sink.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct sink_session {
	struct list in_sink;
	struct sink *sink;
	struct stream *st;
	struct buf input;
	bool in_text, in_auth, holding, broken;
	unsigned accepted, transactions, chunks;
	uint64_t chunk_left; /* bytes of a chunk to come */
	bool in_chunk, last;
};

static void say(struct sink_session *k, const char *line)
{
	stream_write(k->st, str_of(line));
	stream_write(k->st, S("\r\n"));
}

static void hang_up(struct sink_session *k)
{
	stream_close(k->st);
}

static void say_ehlo(struct sink_session *k)
{
	struct str rest = str_of(k->sink->features), line;
	struct buf b;

	buf_init(&b, 4096);
	buf_printf(&b, "250-sink\r\n");
	while (str_split(&rest, '\n', &line))
		buf_printf(&b, "250-%.*s\r\n", STR_ARG(line));
	stream_write(k->st, buf_view(&b));
	buf_fini(&b);
	say(k, "250 HELP");
}

static void on_recipient(struct sink_session *k, struct str line)
{
	struct sink *s = k->sink;

	buf_printf(&s->commands, "%.*s\n", STR_ARG(line));
	if (s->no_rcpt || (s->rcpt_max && k->accepted >= s->rcpt_max)) {
		say(k, s->rcpt_after ? s->rcpt_after : "452 4.5.3 too many recipients");
		return;
	}
	if (s->rcpt && !str_istarts(line, S("RCPT TO:<good"))) {
		say(k, s->rcpt);
	} else if (str_istarts(line, S("RCPT TO:<temp"))) {
		say(k, "450 4.2.0 come back");
	} else if (str_istarts(line, S("RCPT TO:<perm"))) {
		say(k, "550 5.1.1 no such user");
	} else {
		k->accepted++;
		say(k, "250 2.1.5 Ok");
	}
}

static void on_auth(struct sink_session *k, struct str line)
{
	struct sink *s = k->sink;

	buf_printf(&s->credentials, "%.*s|", STR_ARG(line));
	if (s->not_by && str_istarts(line, S("AUTH ")) && str_istarts(str_from(line, 5), str_of(s->not_by))) {
		s->logins++;
		say(k, "535 5.7.8 not like that");
		return;
	}
	if (s->refusals > 0) {
		s->refusals--;
		s->logins++;
		say(k, s->refusal);
		return;
	}
	if (s->auth) {
		s->logins++;
		say(k, s->auth);
		return;
	}
	if (str_istarts(line, S("AUTH PLAIN "))) {
		s->logins++;
		say(k, str_eq(str_from(line, 11), S("AG1lAHNlY3JldA==")) ? "235 2.7.0 in" : "535 5.7.8 no");
	} else if (str_istarts(line, S("AUTH XOAUTH2 "))) {
		s->logins++;
		say(k, "235 2.7.0 in");
	} else if (str_ieq(line, S("AUTH LOGIN"))) {
		k->in_auth = true;
		say(k, "334 VXNlcm5hbWU6");
	} else if (k->in_auth && str_eq(line, S("bWU="))) {
		say(k, "334 UGFzc3dvcmQ6");
	} else {
		k->in_auth = false;
		s->logins++;
		say(k, str_eq(line, S("c2VjcmV0")) ? "235 2.7.0 in" : "535 5.7.8 no");
	}
}

static void on_dot(struct sink_session *k)
{
	struct sink *s = k->sink;

	k->in_text = false;
	if (k->accepted == 0) {
		say(k, "554 5.5.1 no recipients");
		return;
	}
	if (s->drop_at_dot) {
		hang_up(k);
		return;
	}
	s->messages++;
	if (s->hold)
		k->holding = true;
	else
		say(k, s->final ? s->final : "250 2.0.0 taken");
}

/* BDAT n or BDAT n LAST. */
static void on_bdat(struct sink_session *k, struct str line)
{
	struct sink *s = k->sink;
	struct str rest = str_from(line, 5), number;

	if (s->no_bdat) {
		say(k, "500 5.5.2 what?");
		return;
	}
	str_split(&rest, ' ', &number);
	if (!str_to_u64(number, &k->chunk_left))
		abort();
	k->in_chunk = true;
	k->last = str_ieq(rest, S("LAST"));
	if (k->chunks++ == 0)
		buf_clear(&s->text);
	s->chunks++;
	s->last_chunks += k->last;
}

static void on_chunk_end(struct sink_session *k)
{
	k->in_chunk = false;
	if (k->chunks == k->sink->refuse_chunk)
		say(k, "552 5.3.4 enough");
	else if (k->last)
		on_dot(k);
	else
		say(k, "250 2.0.0 taken so far");
}

/* As much of the input as belongs to the chunk. */
static void take_chunk(struct sink_session *k)
{
	struct str bytes = str_head(buf_view(&k->input), k->chunk_left);

	buf_add(&k->sink->text, bytes);
	k->chunk_left -= bytes.n;
	buf_consume(&k->input, bytes.n);
	if (k->chunk_left == 0)
		on_chunk_end(k);
}

static void on_mail(struct sink_session *k, struct str line)
{
	struct sink *s = k->sink;

	s->mails++;
	buf_printf(&s->commands, "%.*s\n", STR_ARG(line));
	k->accepted = k->chunks = 0;
	if (++k->transactions == s->drop_at_mail || s->drop_every_mail)
		hang_up(k);
	else
		say(k, s->mail ? s->mail : "250 2.1.0 Ok");
}

/* Does it dislike what stands in this line? */
static bool dislikes(struct sink_session *k, struct str line)
{
	struct sink *s = k->sink;
	bool parameters = str_istarts(line, S("MAIL")) || str_istarts(line, S("RCPT"));

	if (parameters && s->word && str_search(line, str_of(s->word)) < line.n) {
		buf_printf(&s->commands, "%.*s\n", STR_ARG(line));
		if (s->word_is)
			say(k, s->word_is);
		else
			hang_up(k);
		return true;
	}
	if ((str_istarts(line, S("BDAT")) && s->drop_at_bdat)) {
		hang_up(k);
		return true;
	}
	return false;
}

static void on_command(struct sink_session *k, struct str line)
{
	struct sink *s = k->sink;

	if (dislikes(k, line))
		return;

	if (k->in_auth || str_istarts(line, S("AUTH"))) {
		on_auth(k, line);
	} else if (str_istarts(line, S("EHLO"))) {
		say_ehlo(k);
	} else if (str_istarts(line, S("MAIL"))) {
		on_mail(k, line);
	} else if (str_istarts(line, S("RCPT"))) {
		on_recipient(k, line);
	} else if (str_istarts(line, S("BDAT "))) {
		on_bdat(k, line);
	} else if (str_istarts(line, S("DATA"))) {
		s->datas++;
		k->in_text = !s->data;
		buf_clear(&s->text);
		say(k, s->data ? s->data : "354 go");
	} else if (str_istarts(line, S("STARTTLS"))) {
		say(k, "220 go");
		if (s->break_tls)
			k->broken = true; /* the client's hello gets nonsense */
		else
			stream_start_server_tls(k->st, s->tls);
	} else if (str_istarts(line, S("RSET"))) {
		s->rsets++;
		say(k, "250 2.0.0 Ok");
	} else if (str_istarts(line, S("QUIT"))) {
		s->quits++;
		say(k, "221 2.0.0 Bye");
		stream_finish(k->st);
	} else {
		say(k, "500 5.5.2 what?");
	}
}

static void on_text(struct sink_session *k, struct str line)
{
	if (str_eq(line, S("."))) {
		on_dot(k);
		return;
	}
	buf_add(&k->sink->text, str_starts(line, S(".")) ? str_from(line, 1) : line);
	buf_add(&k->sink->text, S("\r\n"));
}

static size_t on_input(void *ctx, struct stream *st, struct str bytes)
{
	struct sink_session *k = ctx;
	struct str in;
	size_t n;

	if (k->broken) {
		say(k, "this is no TLS at all");
		return bytes.n;
	}
	if (k->sink->deaf && (k->in_text || k->in_chunk)) {
		k->sink->unheard++;
		return 0;
	}
	buf_add(&k->input, bytes);
	for (;;) {
		if (k->in_chunk)
			take_chunk(k);
		in = buf_view(&k->input);
		n = str_search(in, S("\r\n"));
		if (k->in_chunk || n == in.n)
			break;
		if (!k->in_text && k->sink->no_pipelining && in.n > n + 2) {
			hang_up(k);
			return bytes.n;
		}
		if (k->in_text)
			on_text(k, str_head(in, n));
		else
			on_command(k, str_head(in, n));
		buf_consume(&k->input, n + 2);
	}
	return bytes.n;
}

static void greet(struct sink_session *k)
{
	if (k->sink->drip)
		return;
	if (k->sink->sessions_max && k->sink->open > k->sink->sessions_max) {
		say(k, "421 4.7.0 too many connections");
		stream_finish(k->st);
		return;
	}
	say(k, k->sink->greeting ? k->sink->greeting : "220 sink ESMTP");
}

static void on_tls(void *ctx, struct stream *st, struct verdict v)
{
	struct sink_session *k = ctx;

	if (v.class != OK)
		hang_up(k);
	else if (k->sink->implicit)
		greet(k);
}

static void on_end(void *ctx, struct stream *st, struct str why)
{
	hang_up(ctx);
}

static void on_closed(void *ctx, struct stream *st)
{
	struct sink_session *k = ctx;

	k->sink->open--;
	list_remove(&k->in_sink);
	buf_fini(&k->input);
	free(k);
}

static const struct stream_ops ops = { .on_input = on_input, .on_tls = on_tls, .on_end = on_end, .on_closed = on_closed };

static void on_connection(void *ctx, int fd)
{
	struct sink *s = ctx;
	struct sink_session *k = NEW(struct sink_session);

	k->sink = s;
	buf_init(&k->input, 1 << 20);
	k->st = stream_accept(s->loop, fd, &ops, k);
	if (!k->st)
		abort();
	snprintf(s->client, sizeof s->client, "%.*s", STR_ARG(stream_peer_address(k->st)));
	list_append(&s->list, &k->in_sink);
	s->sessions++;
	if (++s->open > s->most_open)
		s->most_open = s->open;
	if (s->implicit)
		stream_start_server_tls(k->st, s->tls);
	else
		greet(k);
}

static void on_drip(uv_timer_t *timer)
{
	struct sink *s = timer->data;

	LIST_EACH (i, &s->list) {
		struct sink_session *k = CONTAINER_OF(i, struct sink_session, in_sink);

		if (s->drip)
			stream_write(k->st, S("2"));
	}
}

void sink_open_at(struct sink *s, uv_loop_t *loop, const char *address, unsigned port)
{
	struct sockaddr_storage a;
	bool six = strchr(address, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a;
	socklen_t n = six ? sizeof *v6 : sizeof *v4;
	int fd = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	memset(&a, 0, sizeof a);
	if (six)
		uv_ip6_addr(address, (int)port, v6);
	else
		uv_ip4_addr(address, (int)port, v4);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
	    bind(fd, (struct sockaddr *)&a, n) != 0 || listen(fd, 64) != 0 || getsockname(fd, (struct sockaddr *)&a, &n) != 0)
		abort();
	s->loop = loop;
	s->port = ntohs(six ? v6->sin6_port : v4->sin_port);
	list_init(&s->list);
	buf_init(&s->text, (size_t)64 << 20);
	buf_init(&s->credentials, 4096);
	buf_init(&s->commands, 1 << 20);
	uv_timer_init(loop, &s->timer);
	s->timer.data = s;
	uv_timer_start(&s->timer, on_drip, 20, 20);
	s->listening = fd;
	s->listener = listener_serve(loop, fd, on_connection, s);
}

void sink_open(struct sink *s, uv_loop_t *loop)
{
	sink_open_at(s, loop, "127.0.0.1", 0);
}

void sink_release(struct sink *s)
{
	s->hold = false;
	LIST_EACH (i, &s->list) {
		struct sink_session *k = CONTAINER_OF(i, struct sink_session, in_sink);

		if (k->holding)
			say(k, "250 2.0.0 taken at last");
		k->holding = false;
	}
}

void sink_narrow(struct sink *s)
{
	int bytes = 16 * 1024;

	if (setsockopt(s->listening, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0)
		abort();
}

void sink_hear(struct sink *s)
{
	s->deaf = false;
	LIST_EACH_OF (struct sink_session, k, &s->list, in_sink)
		stream_resume(k->st);
}

void sink_hang_up(struct sink *s)
{
	LIST_EACH (i, &s->list)
		hang_up(CONTAINER_OF(i, struct sink_session, in_sink));
}

void sink_close(struct sink *s)
{
	if (s->listener)
		listener_close(s->listener);
	s->listener = NULL;
	sink_hang_up(s);
	while (s->open > 0)
		uv_run(s->loop, UV_RUN_ONCE);
	buf_fini(&s->text);
	buf_fini(&s->credentials);
	buf_fini(&s->commands);
	uv_close((uv_handle_t *)&s->timer, NULL);
}
