/* server_text.c - the message after 354 (RFC 5321 4.1.1.4, 4.5.2).
 *
 * The text ends at CRLF "." CRLF and nowhere else, and a dot is unstuffed after a true CRLF only: two servers that differ in this can be
 * made to see different messages (SMTP smuggling). A lone CR, a lone LF and a NUL byte (RFC 5322 2.2 knows none) make the message
 * refused: it is swallowed to its true end, so that nothing of it is taken for a command. Lines of any length pass: clients do send more
 * than the 998 octets of RFC 5322 2.1.1, they stream, and to break them would break signatures. */
#include "server.h"

/* A refused text may go on for so many times the size limit, or so many bytes if these are more, before the connection is ended. */
#define SWALLOW_TIMES 8
#define SWALLOW_LEAST (16 * 1024 * 1024)

void server_text_reset(struct smtp_server *s)
{
	s->line_start = true; /* the CRLF of DATA counts: an empty text ends with ".CRLF" */
	s->has_fault = s->held_cr = false;
	s->fault = ok();
	s->text_bytes = s->swallowed_text = 0;
}

void server_text_begin(struct smtp_server *s)
{
	server_enter(s, SERVER_TEXT);
	server_text_reset(s);
}

void server_set_fault(struct smtp_server *s, struct verdict v)
{
	if (!s->has_fault)
		s->fault = v;
	s->has_fault = true;
}

void server_set_lone_fault(struct smtp_server *s)
{
	server_set_fault(s, perm(550, S("5.6.11"),
				 S("The message contains a CR or LF that is not part of CR LF; lines must end with CR LF")));
}

void server_check_nul(struct smtp_server *s, struct str run)
{
	if (!s->has_fault && memchr(run.p, '\0', run.n) != NULL)
		server_set_fault(s, perm(550, S("5.6.0"), S("NUL byte in the message (RFC 5322 section 2.2)")));
}

bool server_find_run(struct str v, bool *line_start, size_t *n_out)
{
	for (size_t i = 0;;) {
		const char *lf = memchr(v.p + i, '\n', v.n - i);
		size_t end = lf != NULL ? (size_t)(lf - v.p) : v.n;
		const char *cr = memchr(v.p + i, '\r', end - i);
		size_t at = cr != NULL ? (size_t)(cr - v.p) : end;

		if (cr != NULL && at + 1 == v.n) { /* LF may follow */
			*n_out = at;
			*line_start = *line_start && at == 0;
			return true;
		}
		if (cr != NULL ? lf == NULL || at + 1 != end : lf != NULL) {
			*n_out = at + 1;
			*line_start = false;
			return false;
		}
		if (lf == NULL) {
			*n_out = v.n;
			*line_start = *line_start && v.n == i;
			return true;
		}
		i = end + 1;
		*line_start = true;
		if (i == v.n || v.p[i] == '.') {
			*n_out = i;
			return true;
		}
	}
}

/* At the start of a line: is it the end of the text (3 bytes), a stuffed dot (1), neither (0), or not to be known yet (-1)? */
static int look_at_dot(struct str v)
{
	if (v.n == 0 || v.p[0] != '.')
		return 0;
	if (v.n == 1 || (v.n == 2 && v.p[1] == '\r'))
		return -1;
	return v.p[1] == '\r' && v.p[2] == '\n' ? 3 : 1;
}

uint64_t server_swallow_room(const struct smtp_server *s)
{
	uint64_t size = s->config->message_size;
	uint64_t limit = size > UINT64_MAX / SWALLOW_TIMES ? UINT64_MAX : size * SWALLOW_TIMES;

	if (limit < SWALLOW_LEAST)
		limit = SWALLOW_LEAST;
	if (!s->authenticated && !s->trusted) /* a stranger who begins with a chunk */
		limit = SWALLOW_MAX;
	return limit > s->swallowed_text ? limit - s->swallowed_text : 0;
}

void server_end_swallowing(struct smtp_server *s)
{
	server_say(s, 552, S("5.3.4"), S("Message far too large, closing the connection"));
	server_close(s, DUE_CLOSE);
}

void server_swallow(struct smtp_server *s, size_t n)
{
	bool too_much = n > server_swallow_room(s);

	buf_consume(&s->in, n);
	s->swallowed_text += n;
	if (too_much)
		server_end_swallowing(s);
}

/* Hand out a run of text, or find a fault in it. True when there is an event. */
static bool take_run(struct smtp_server *s, size_t n, struct smtp_event *event_out)
{
	struct str run = str_head(buf_view(&s->in), n);

	server_check_nul(s, run);
	s->text_bytes += n;
	if (s->config->message_size > 0 && s->text_bytes > s->config->message_size)
		server_set_fault(s, perm(552, S("5.3.4"), S("Message larger than the limit announced by SIZE")));
	if (s->has_fault) {
		server_swallow(s, n);
		return false;
	}
	s->lent = n;
	event_out->type = SMTP_TEXT;
	event_out->bytes = run;
	return true;
}

static bool end_text(struct smtp_server *s, struct smtp_event *event_out)
{
	buf_consume(&s->in, 3);
	event_out->fault = s->fault;
	return server_ask(s, SMTP_TEXT_END, event_out);
}

bool server_text(struct smtp_server *s, struct smtp_event *event_out)
{
	while (s->state == SERVER_TEXT && s->in.n > 0) {
		int dot = s->line_start ? look_at_dot(buf_view(&s->in)) : 0;
		size_t n;

		if (dot == 3)
			return end_text(s, event_out);
		if (dot < 0)
			return false;
		if (dot == 1) {
			buf_consume(&s->in, 1);
			s->line_start = false;
		}
		if (!server_find_run(buf_view(&s->in), &s->line_start, &n)) {
			/* The fault that comes first is told, however the text is cut. */
			server_check_nul(s, str_head(buf_view(&s->in), n));
			server_set_lone_fault(s);
			server_swallow(s, n);
			continue;
		}
		if (n == 0)
			return false; /* a CR, whose LF has not come */
		if (take_run(s, n, event_out))
			return true;
	}
	return false;
}
