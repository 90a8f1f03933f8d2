/* server.c - the server machine: states, input lines, the order of events. */
#include "server.h"

#include <assert.h>
#include <stdlib.h>

struct smtp_server *smtp_server_new(const struct smtp_server_config *config)
{
	struct smtp_server *s = NEW(struct smtp_server);

	s->config = config;
	s->verbs = server_commands;
	buf_init(&s->in, INPUT_MAX);
	buf_init(&s->out, OUTPUT_MAX);
	buf_init(&s->mended, 2 * INPUT_MAX + 2);
	return s;
}

void smtp_server_free(struct smtp_server *s)
{
	if (s == NULL)
		return;
	if (s->in.p != NULL)
		wipe(s->in.p, s->in.capacity);
	buf_fini(&s->in);
	buf_fini(&s->out);
	buf_fini(&s->mended);
	secret_fini(&s->response);
	arena_fini(&s->scratch);
	arena_fini(&s->keep);
	arena_fini(&s->broken_words);
	free(s);
}

/* A new connection, or TLS has begun: forget all that the client has said. */
static void begin_session(struct smtp_server *s)
{
	server_enter(s, SERVER_START);
	s->esmtp = s->authenticated = false;
	s->recipients = 0;
	s->due = 0;
}

void smtp_server_trust(struct smtp_server *s, bool tls_needed)
{
	s->trusted = true;
	s->trusted_needs_tls = tls_needed;
}

void smtp_server_greet(struct smtp_server *s)
{
	begin_session(s);
	buf_printf(&s->out, "220 %.*s ESMTP Posthouse\r\n", STR_ARG(s->config->hostname));
}

void smtp_server_refuse(struct smtp_server *s, struct verdict v)
{
	begin_session(s);
	if (v.class != PERM) {
		v.class = TEMP;
		v.code = 421;
	}
	server_refuse(s, v);
	if (v.class == PERM) /* 421 has done so already */
		server_close(s, DUE_CLOSE);
}

void smtp_server_shut(struct smtp_server *s, struct verdict v, bool now)
{
	if (s->state == SERVER_CLOSED)
		return;
	if (!s->shutting)
		s->shut = verdict_keep(&s->keep, v);
	s->shutting = true;
	s->shut.class = TEMP;
	s->shut.code = 421;
	if (!now)
		return;
	s->waiting = false;
	if (s->state == SERVER_TLS) /* nothing is said between 220 and the handshake */
		server_close(s, DUE_CLOSE);
	else
		server_refuse(s, s->shut);
}

/* Drop the input bytes that the last event has shown. */
static void drop_lent(struct smtp_server *s)
{
	if (s->lent == 0)
		return;
	if (s->lent_secret) {
		wipe(s->in.p + s->in.from, s->lent);
		secret_fini(&s->response);
	}
	buf_consume(&s->in, s->lent);
	s->lent = 0;
	s->lent_secret = false;
	if (s->in.n > 0)
		return;
	buf_release(&s->in); /* an idle session costs no buffer */
	buf_release(&s->mended);
}

size_t smtp_server_room(const struct smtp_server *s)
{
	return INPUT_MAX - (s->in.n - s->lent);
}

bool smtp_server_feed(struct smtp_server *s, struct str bytes)
{
	drop_lent(s);
	if (s->state == SERVER_CLOSED)
		return true; /* input is not read any more */
	return bytes.n == 0 || buf_add(&s->in, bytes);
}

void smtp_server_tls_started(struct smtp_server *s)
{
	assert(s->state == SERVER_TLS || s->state == SERVER_NEW);
	if (s->state == SERVER_TLS)
		begin_session(s);
	s->tls = true;
	/* RFC 3207 section 4.2, and against injection before the handshake: what came in the clear was never said. */
	s->lent = s->scanned = 0;
	s->swallowing = s->skipping = false;
	buf_release(&s->in);
}

/* Give an event that is for information, if one is due. */
static bool take_due(struct smtp_server *s, struct smtp_event *event_out)
{
	static const enum smtp_event_type types[] = { SMTP_RESET, SMTP_HELO, SMTP_AUTH_CANCEL, SMTP_QUIT, SMTP_CLOSE };

	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if ((s->due & 1u << i) == 0)
			continue;
		s->due &= ~(1u << i);
		event_out->type = types[i];
		event_out->name = s->helo;
		event_out->esmtp = s->esmtp;
		return true;
	}
	return false;
}

/* How long a line can be, without CRLF. */
static size_t line_max(const struct smtp_server *s)
{
	bool auth = s->state == SERVER_AUTH || str_istarts(buf_view(&s->in), S("AUTH "));

	return (auth ? AUTH_LINE_MAX : LINE_MAX_OCTETS) - 2;
}

/* Refuse a line before its end has come; its rest will be swallowed. `n` bytes of it are here. */
static void refuse_line(struct smtp_server *s, size_t n, struct verdict v)
{
	bool is_recipient;

	if (s->state == SERVER_AUTH) {
		s->due |= DUE_AUTH_CANCEL;
		server_enter(s, SERVER_READY);
	}
	is_recipient = server_in_transaction(s) && str_istarts(buf_view(&s->in), S("RCPT "));
	wipe(s->in.p + s->in.from, n); /* it can be a password */
	buf_consume(&s->in, n);
	s->scanned = 0;
	s->swallowing = true;
	s->swallowed = n;
	if (is_recipient)
		server_refuse_recipient(s, v);
	else
		server_refuse(s, v);
}

/* Skip to the end of a refused line. False when the end has not come. */
static bool swallow_line(struct smtp_server *s)
{
	struct str v = buf_view(&s->in), end = s->config->refuse_bare_newline ? S("\r\n") : S("\n");
	size_t at = str_search(v, end);
	bool found = at < v.n;
	size_t n = found ? at + end.n : v.n > 0 && v.p[v.n - 1] == '\r' ? v.n - 1 : v.n;

	wipe(s->in.p + s->in.from, n);
	buf_consume(&s->in, n);
	s->swallowed += n;
	s->swallowing = !found;
	if (!found && s->swallowed > SWALLOW_MAX)
		server_refuse(s, temp(421, S("4.7.0"), S("This is not SMTP, closing the connection")));
	return found;
}

/* Take a whole line off the input, which keeps its bytes as `lent`. A line ends at CRLF. Unless submission.bare_newline refuses
 * them, it also ends at a LF by itself (people who type by hand, health checks) or behind several CRs. A line with a CR inside is
 * refused at once, since another server can see two commands there, and so is a line that is too long. False: no whole line. */
static bool take_line(struct smtp_server *s, struct str *line_out)
{
	struct str v = buf_view(&s->in);
	size_t max = line_max(s), i = s->scanned, end;

	while (i < v.n && v.p[i] != '\r' && v.p[i] != '\n')
		i++;
	s->scanned = i;
	for (end = i; end < v.n && v.p[end] == '\r';)
		end++;
	if (i > max || end > max + LINE_CRS_MAX) {
		refuse_line(s, i > max ? max : i + 1,
			    s->state == SERVER_AUTH ? perm(500, S("5.5.6"), S("Authentication exchange line is too long"))
						    : perm(500, S("5.5.2"), S("Line too long")));
		return false;
	}
	if (end == v.n)
		return false;
	if (v.p[end] != '\n' || (end != i + 1 && s->config->refuse_bare_newline)) {
		refuse_line(s, i + 1, perm(500, S("5.5.2"), S("Lines must end with CR LF, and contain no CR by itself")));
		return false;
	}
	s->scanned = 0;
	s->lent = end + 1;
	s->line_crlf = end > i;
	s->lent_secret = s->state == SERVER_AUTH || str_istarts(str_trim(str_head(v, i)), S("AUTH"));
	*line_out = str_head(v, i);
	return true;
}

/* Act on the next line. False when there is none to act on. */
static bool next_line(struct smtp_server *s, struct smtp_event *event_out)
{
	struct str line;

	drop_lent(s);
	if (s->skipping)
		return server_skip_chunk(s);
	if (s->swallowing && !swallow_line(s))
		return s->state == SERVER_CLOSED;
	if (!take_line(s, &line))
		return s->swallowing; /* refused: there can be an event, or the line's end */
	arena_reset(&s->scratch);
	if (s->shutting)
		server_refuse(s, s->shut);
	else if (s->state == SERVER_AUTH)
		server_auth_response(s, line, event_out);
	else
		server_command(s, line, event_out);
	return true;
}

bool smtp_server_next(struct smtp_server *s, struct smtp_event *event_out)
{
	drop_lent(s);
	*event_out = (struct smtp_event){ 0 };
	if (s->waiting)
		return false;
	do {
		if (take_due(s, event_out))
			return true;
		if (s->state == SERVER_NEW || s->state == SERVER_TLS || s->state == SERVER_CLOSED || s->out.n > OUTPUT_ENOUGH)
			return false;
		if (s->state == SERVER_TEXT || s->state == SERVER_CHUNK) {
			drop_lent(s); /* the line of a BDAT that no event was made of */
			if (s->state == SERVER_TEXT ? server_text(s, event_out) : server_chunk(s, event_out))
				return true;
			if (s->state != SERVER_CHUNKS && s->due == 0)
				return false;
			continue;
		}
		if (!next_line(s, event_out))
			return false;
	} while (!s->waiting);
	return true;
}

struct buf *smtp_server_output(struct smtp_server *s)
{
	return &s->out;
}

bool smtp_server_in_text(const struct smtp_server *s)
{
	return s->state == SERVER_TEXT || s->state == SERVER_CHUNK || (s->skipping && (s->authenticated || s->trusted));
}

uint64_t smtp_server_errors(const struct smtp_server *s)
{
	return s->errors;
}
